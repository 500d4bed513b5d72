// Opens pages of the console in a browser with script switched on, and says what it saw, as JSON.
// Usage: node console_browser.mjs URL FOREIGN-URL PATH...
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.NODE_MODULES_OF, "package.json"));
const { chromium } = require("playwright-core");

const [url, foreign, ...paths] = process.argv.slice(2);
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
const context = await browser.newContext();
const page = await context.newPage();
let requests = [];
let dialogs = [];
page.on("request", (request) => requests.push(request.url()));
page.on("dialog", (dialog) => {
  dialogs.push(dialog.message());
  dialog.dismiss();
});

/// Waits a moment in which a script would have run, and looks round.
const look = async () => {
  await page.waitForTimeout(200);
  const seen = await page.evaluate(() => ({
    ran: globalThis.ran ?? null,
    title: document.title,
    text: document.body.innerText,
    active: [...document.querySelectorAll("script, img, svg, iframe, object, embed, video, base, meta[http-equiv]")].map(
      (element) => element.outerHTML,
    ),
    handlers: [...document.querySelectorAll("*")]
      .flatMap((element) => [...element.attributes])
      .filter((attribute) => attribute.name.startsWith("on") || attribute.name === "style")
      .map((attribute) => attribute.value),
    links: [...document.links].map((link) => link.href),
    forms: [...document.forms].map((form) => form.action),
  }));
  const found = { url: page.url(), requests, dialogs, ...seen };
  requests = [];
  dialogs = [];
  return found;
};

const seen = [];
for (const place of paths) {
  const answer = await page.goto(`${url}${place}`);
  seen.push({ status: answer.status(), policy: answer.headers()["content-security-policy"], ...(await look()) });
}

// As a person does: from the list to the event, and by the search.
await page.goto(`${url}/`);
await page.locator("a[href^='/events/']").first().click();
const followed = await look();
await page.goto(`${url}/`);
await page.locator("input[name=eni]").fill('eni-"><script>ran=1</script>');
await page.locator("input[name=eni]").press("Enter");
await page.waitForURL(/eni=/);
const searched = await look();

// Were something to get through the escaping, the policy would stop it.
await page.goto(`${url}/`);
requests = [];
const injected = await page.evaluate(async (foreign) => {
  const violations = [];
  document.addEventListener("securitypolicyviolation", (event) => violations.push(event.effectiveDirective));
  const script = document.createElement("script");
  script.textContent = "globalThis.ran = 'inline'";
  const elsewhere = document.createElement("script");
  elsewhere.src = `${foreign}/script`;
  const image = document.createElement("img");
  image.src = `${foreign}/image`;
  const handler = document.createElement("div");
  handler.setAttribute("onclick", "globalThis.ran = 'handler'");
  const frame = document.createElement("iframe");
  frame.src = `${foreign}/frame`;
  const form = document.createElement("form");
  form.action = `${foreign}/form`;
  document.body.append(script, elsewhere, image, handler, frame, form);
  handler.click();
  form.submit();
  await fetch(`${foreign}/fetch`).catch(() => {});
  await new Promise((done) => setTimeout(done, 500));
  return { ran: globalThis.ran ?? null, violations };
}, foreign);
injected.url = page.url();

// And another site may not show it in a frame.
await page.goto(`${foreign}/framing`);
await page.waitForTimeout(500);
const framed = [];
for (const frame of page.frames().slice(1)) {
  framed.push(await frame.evaluate(() => document.body?.innerText ?? "").catch(() => ""));
}
await browser.close();
console.log(JSON.stringify({ seen, followed, searched, injected, framed }));
