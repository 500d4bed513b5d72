// Shows the mails of the snapshots in a browser, on a phone and on a desk, light and dark, and says
// what it saw, as JSON. Usage: node mail_pictures.mjs FOLDER-OF-PICTURES FILE.html...
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.NODE_MODULES_OF, "package.json"));
const { chromium } = require("playwright-core");

const [folder, ...files] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
const seen = [];
for (const file of files) {
  for (const width of [320, 375, 800]) {
    for (const colorScheme of ["light", "dark"]) {
      const context = await browser.newContext({ viewport: { width, height: 700 }, colorScheme });
      const page = await context.newPage();
      const requests = [];
      page.on("request", (request) => requests.push(request.url()));
      const dialogs = [];
      page.on("dialog", (dialog) => {
        dialogs.push(dialog.message());
        dialog.dismiss();
      });
      await page.goto(`file://${file}`);
      const measured = await page.evaluate(() => ({
        wide: document.documentElement.scrollWidth,
        text: document.body.innerText,
        scripts: document.scripts.length,
        links: [...document.links].map((link) => link.href),
        // The contrast of the words of each band with it, by WCAG's formula.
        contrasts: [...document.querySelectorAll("td[bgcolor]")].map((band) => {
          const luminance = (colour) => {
            const [r, g, b] = colour.match(/\d+/g).map((part) => {
              const share = part / 255;
              return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const style = getComputedStyle(band);
          const [dark, light] = [luminance(style.backgroundColor), luminance(style.color)].sort((a, b) => a - b);
          return (light + 0.05) / (dark + 0.05);
        }),
      }));
      const name = `${path.basename(file, ".html")}-${width}-${colorScheme}.png`;
      await page.screenshot({ path: path.join(folder, name), fullPage: true });
      seen.push({ file, width, colorScheme, requests, dialogs, ...measured });
      await context.close();
    }
  }
}
await browser.close();
console.log(JSON.stringify(seen));
