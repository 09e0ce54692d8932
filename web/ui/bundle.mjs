// Makes dist/ of src/ and static/, compressed, and says how large a first load is.
//
// The same sources and package-lock.json give the same bytes. The compressed files are the one exception: a Node with another zlib or
// brotli may write others of the same content, which is what `check` compares.
import { build } from "esbuild";
import { brotliCompressSync, brotliDecompressSync, constants, gunzipSync, gzipSync } from "node:zlib";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const files = ["index.html", "app.js", "app.css", "icon.svg", "licenses.txt"];
const firstLoadMax = 60_000;

async function bundle(to) {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  await build({
    entryPoints: { app: join(here, "src/main.tsx") }, outdir: to, bundle: true, minify: true, format: "esm", target: ["chrome123", "firefox120", "safari17.5"],
    jsx: "automatic", jsxImportSource: "preact", legalComments: "none", charset: "utf8", logLevel: "warning",
  });
  for (const file of ["index.html", "icon.svg"]) copyFileSync(join(here, "static", file), join(to, file));
  writeFileSync(join(to, "licenses.txt"), licenses());
  for (const file of files) {
    const plain = readFileSync(join(to, file));
    writeFileSync(join(to, `${file}.gz`), gzipSync(plain, { level: 9 }));
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length };
    writeFileSync(join(to, `${file}.br`), brotliCompressSync(plain, { params }));
  }
}

/** The licences of what is bundled. */
function licenses() {
  const { dependencies } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
  const names = [...Object.keys(dependencies), "@preact/signals-core"].sort();
  return names.map((name) => {
    const folder = join(here, "node_modules", name);
    const file = readdirSync(folder).find((f) => /^licen[cs]e/i.test(f));
    return `${name}\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
  }).join("\n---\n\n");
}

function unequal(made, kept) {
  return files.filter((file) => {
    const plain = readFileSync(join(made, file));
    return !plain.equals(readFileSync(join(kept, file))) || !plain.equals(gunzipSync(readFileSync(join(kept, `${file}.gz`)))) ||
      !plain.equals(brotliDecompressSync(readFileSync(join(kept, `${file}.br`))));
  });
}

const dist = join(here, "dist");
if (process.argv[2] === "test") {
  const to = join(here, "node_modules/.tests");
  await build({ entryPoints: [join(here, "tests/pure.test.ts")], outdir: to, bundle: true, format: "esm", platform: "node", outExtension: { ".js": ".mjs" }, logLevel: "warning" });
  const { status } = spawnSync(process.execPath, ["--test", join(to, "pure.test.mjs")], { stdio: "inherit" });
  process.exit(status ?? 1);
}
if (process.argv[2] === "check") {
  const made = join(here, "node_modules/.bundled");
  await bundle(made);
  const other = unequal(made, dist);
  if (other.length > 0) {
    console.error(`dist/ is not what the sources give: ${other.join(", ")}; run web/ui/bundle and commit what it makes`);
    process.exit(1);
  }
} else {
  await bundle(dist);
}
const size = (file, ext) => readFileSync(join(dist, `${file}${ext}`)).length;
const first = ["index.html", "app.js", "app.css", "icon.svg"];
const total = (ext) => first.reduce((sum, file) => sum + size(file, ext), 0);
console.log(`first load: ${total(".br")} bytes with brotli, ${total(".gz")} with gzip`);
// Every browser that runs this takes brotli, by TLS and on loopback.
if (total(".br") > firstLoadMax) {
  console.error(`that is over ${firstLoadMax}`);
  process.exit(1);
}
