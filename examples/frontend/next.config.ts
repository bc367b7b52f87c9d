import type { NextConfig } from "next";

const headers = [
  { key: "Content-Security-Policy", value: "frame-ancestors 'none'; base-uri 'none'; object-src 'none'" },
  { key: "X-Content-Type-Options", value: "nosniff" },
  { key: "Referrer-Policy", value: "same-origin" },
];

export default {
  // With this setting, the build also creates .next/standalone, which contains the packages that it needs. The container
  // runs that output.
  output: "standalone",
  outputFileTracingRoot: import.meta.dirname,
  // The output must not contain the embedded database and its secret.
  outputFileTracingExcludes: { "/*": ["./data/**"] },
  turbopack: { root: import.meta.dirname },
  // Builds of the image start without a cache, so writing a cache would only take time.
  experimental: { turbopackFileSystemCacheForBuild: false },
  poweredByHeader: false,
  headers: async () => [{ source: "/:path*", headers }],
} satisfies NextConfig;
