import type { NextConfig } from "next";

const headers = [
  { key: "Content-Security-Policy", value: "frame-ancestors 'none'; base-uri 'none'; object-src 'none'" },
  { key: "X-Content-Type-Options", value: "nosniff" },
  { key: "Referrer-Policy", value: "same-origin" },
];

export default {
  // For the container: the output in .next/standalone runs without node_modules.
  output: "standalone",
  outputFileTracingRoot: import.meta.dirname,
  outputFileTracingExcludes: { "/*": ["./data/**"] }, // the embedded database and its secret
  turbopack: { root: import.meta.dirname },
  experimental: { turbopackFileSystemCacheForBuild: false }, // builds start without a cache, and writing one takes time
  poweredByHeader: false,
  headers: async () => [{ source: "/:path*", headers }],
} satisfies NextConfig;
