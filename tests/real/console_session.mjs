// Signs in to the console as a person does, and out again, and says what it saw, as JSON.
// Usage: node console_session.mjs URL FOREIGN-URL EVENT TOKEN
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.NODE_MODULES_OF, "package.json"));
const { chromium } = require("playwright-core");

const [url, foreign, event, token] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
const context = await browser.newContext({ ignoreHTTPSErrors: true });
const page = await context.newPage();
const urls = [];
page.on("request", (request) => urls.push(request.url()));

const look = async (answer) => ({
  url: page.url(),
  status: answer?.status() ?? null,
  text: await page.evaluate(() => document.body.innerText),
});
const show = async (word) => {
  await page.locator("input[name=token]").fill(word);
  await Promise.all([page.waitForNavigation(), page.locator("main button").click()]);
  return look();
};

const said = {};
said.asked = await look(await page.goto(`${url}/deliveries?state=dead`));
said.wrong = await show("not-the-token-0123456789");
said.begun = await show(token);
[said.cookie] = await context.cookies(url);
said.script = await page.evaluate(() => document.cookie);

await page.goto(`${foreign}/link`);
await page.locator("a").click();
await page.waitForURL(`${url}/events/${event}`);
await page.locator("h1").first().waitFor();
said.linked = await look();

const answered = page.waitForResponse((answer) => answer.url() === `${url}/session/end`);
await page.goto(`${foreign}/attack`);
said.attacked = { status: (await answered).status() };

said.session = await look(await page.goto(`${url}/session`));
await Promise.all([page.waitForNavigation(), page.locator("main button").click()]);
said.ended = await look();
said.cookies = await context.cookies(url);
said.after = await look(await page.goto(`${url}/`));
said.urls = urls;
await browser.close();
console.log(JSON.stringify(said));
