import type { Env as EdgelogEnv } from "../src/env.ts";

declare global {
  namespace Cloudflare {
    interface Env extends EdgelogEnv {}
    interface GlobalProps {
      mainModule: typeof import("../src/worker.ts");
    }
  }
}
