// Fills in forms as a user would. On stdin, JSON:
//   {"chromium": path, "folder": path, "tasks": [{"name", "schema", "given", "steps"}]}
// A step is one of {"type": [title, text]}, {"check": [title]} and {"choose": [title, option]}; the titles are those that
// the form shows. On stdout, JSON: for each task, in order,
//   {"shown": {title: description}, "text", "submitted", "refused": [reason]}
// and in `folder`, for each task, `<name>.png` as it was filled in, and `<name>-refused.png` if it was refused.
import { build } from 'esbuild'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { chromium } from 'playwright-core'

const { chromium: executablePath, folder, tasks } = JSON.parse(await text(process.stdin))

const bundle = await build({
  entryPoints: ['page.jsx'],
  bundle: true,
  write: false,
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"' },
})
const files = {
  '/': ['text/html', await readFile('page.html')],
  '/page.js': ['text/javascript', bundle.outputFiles[0].contents],
}
const server = createServer((request, response) => {
  const [type, body] = files[request.url] ?? ['text/plain', '']
  response.writeHead(files[request.url] ? 200 : 404, { 'content-type': `${type}; charset=utf-8` }).end(body)
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))

const profile = await mkdtemp(join(tmpdir(), 'forms-'))
const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
  viewport: { width: 720, height: 900 },
})
try {
  const page = await context.newPage()
  const faults = []
  page.on('pageerror', (error) => faults.push(error.message))
  await page.goto(`http://127.0.0.1:${server.address().port}/`)
  const outcomes = []
  for (const task of tasks) outcomes.push(await fill(page, task))
  if (faults.length) throw new Error(`the page has faults: ${faults}`)
  process.stdout.write(JSON.stringify(outcomes))
} finally {
  await context.close()
  server.close()
  await rm(profile, { recursive: true, force: true })
}

async function fill(page, { name, schema, given, steps }) {
  await page.evaluate(([schema, given]) => window.show(schema, given), [schema, given])
  await page.getByRole('button', { name: 'Submit' }).waitFor()
  const form = page.locator('form')
  const shown = await form.evaluate((form) =>
    Object.fromEntries(
      [...form.querySelectorAll('.rjsf-field')]
        .filter((field) => field.parentElement.closest('.rjsf-field')?.classList.contains('rjsf-field-object'))
        .map((field) => [
          field.querySelector('label, legend')?.innerText.replace(/\*$/, '').trim(),
          field.querySelector('.field-description')?.innerText.trim(),
        ]),
    ),
  )
  for (const step of steps) {
    const [[verb, [title, value]]] = Object.entries(step)
    const field = form.getByLabel(new RegExp(`^${escaped(title)}\\*?$`))
    if (verb === 'type') await field.fill(value)
    else if (verb === 'choose') await field.selectOption([{ label: value }])
    else if (verb === 'check') await field.check()
    else throw new Error(`no step is called ${verb}`)
  }
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
  await page.getByRole('button', { name: 'Submit' }).click()
  const outcome = await (await page.waitForFunction(() => window.outcome)).jsonValue()
  if (outcome.refused.length) await page.screenshot({ path: join(folder, `${name}-refused.png`), fullPage: true })
  return { shown, text: await form.innerText(), ...outcome }
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
