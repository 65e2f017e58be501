// Counts what of a result of http-cache-tests passed, and names each required case that failed: node … RESULT.json
import { readFileSync } from 'node:fs'
import suites from './node_modules/http-cache-tests/tests/index.mjs'

const result = JSON.parse(readFileSync(process.argv[2]))
const cases = suites.flatMap(suite => suite.tests).filter(test => !test.browser_only)
for (const kind of ['required', 'optimal']) {
  const those = cases.filter(test => (test.kind || 'required') === kind)
  console.log(`${kind}: ${those.filter(test => result[test.id] === true).length} of ${those.length} passed`)
}
const isFailure = test => (test.kind || 'required') === 'required' && result[test.id] !== true
cases.filter(isFailure).forEach(test => console.log(`${test.id}: ${result[test.id]?.[1]}`))
