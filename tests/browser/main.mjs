import "./login.mjs";
import "./pages.mjs";
import "./changes.mjs";
import "./looks.mjs";
import { main } from "./harness.mjs";

await main();
