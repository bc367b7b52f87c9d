-- The requests that wrk sends: all of one kind, each for a random user, and for a random one of the user's tasks.
--
-- Environment variables:
--   WORK    the kind of request: get, list, create, toggle or nothing
--   TOKENS  a file with one token per line, for the users 0, 1, …
--   USERS   the number of users in the database
--   EACH    the number of tasks of each user

local work = os.getenv("WORK")
local users, each = tonumber(os.getenv("USERS")), tonumber(os.getenv("EACH"))
local body = '{"title": "Buy oat milk for the weekend", "description": "The one in the blue carton, two of them."}'

local started = 0
function setup(thread)
   started = started + 1
   thread:set("number", started)
end

-- For each user, the part of the request that follows the path.
local rest = {}

function init()
   math.randomseed(os.time() * 100 + number)
   local length = ""
   if work == "create" then
      length = "Content-Type: application/json\r\nContent-Length: " .. #body .. "\r\n"
   end
   for token in io.lines(os.getenv("TOKENS")) do
      local host = " HTTP/1.1\r\nHost: 127.0.0.1\r\n"
      rest[#rest + 1] = host .. "Authorization: Bearer " .. token .. "\r\n" .. length .. "\r\n"
   end
end

local random = math.random

local requests = {
   nothing = function(user)
      return "GET /nothing" .. rest[user]
   end,
   get = function(user)
      return "GET /api/tasks/" .. user + users * random(0, each - 1) .. rest[user]
   end,
   list = function(user)
      return "GET /api/tasks" .. rest[user]
   end,
   create = function(user)
      return "POST /api/tasks" .. rest[user] .. body
   end,
   toggle = function(user)
      return "PATCH /api/tasks/" .. user + users * random(0, each - 1) .. "/complete" .. rest[user]
   end,
}

local make = requests[work]
function request()
   return make(random(#rest))
end

function done(summary, latency)
   local errors = summary.errors
   local line = 'RESULT {"requests": %d, "seconds": %f, "p50_us": %d, "p99_us": %d, "failed": %d, "errors": "%s"}\n'
   local total, failed = 0, ""
   for kind, count in pairs({
      ["responses with a status of 400 or more"] = errors.status,
      ["connections refused"] = errors.connect,
      ["failed reads"] = errors.read,
      ["failed writes"] = errors.write,
      ["timeouts"] = errors.timeout,
   }) do
      if count > 0 then failed = failed .. count .. " " .. kind .. "; " end
      total = total + count
   end
   local p50, p99 = latency:percentile(50), latency:percentile(99)
   io.write(line:format(summary.requests, summary.duration / 1e6, p50, p99, total, failed))
end
