import "./login.mjs";
import "./pages.mjs";
import "./changes.mjs";
import "./live.mjs";
import "./drift.mjs";
import "./odd.mjs";
import "./looks.mjs";
import "./api.mjs";
import "./proxied.mjs";
import { main } from "./harness.mjs";

await main();
