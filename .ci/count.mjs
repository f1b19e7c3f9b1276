// Adds up what the suites and the fault runs reported. A report that is missing counts as a failure.
import { readFileSync } from 'node:fs';

const sum = { passed: 0, failed: 0, skipped: 0 };

function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    console.log(`no report at ${path}`);
    sum.failed++;
    return null;
  }
}

const [suites, chaos] = process.argv.slice(2).map(read);
if (suites) {
  sum.passed += suites.numPassedTests;
  // A suite that could not even be loaded has no failed test of its own.
  sum.failed += suites.numFailedTests + suites.numRuntimeErrorTestSuites;
  sum.skipped += suites.numPendingTests + suites.numTodoTests;
}
if (chaos) {
  for (const outcome of ['passed', 'failed', 'skipped']) sum[outcome] += chaos[outcome];
}
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
process.exitCode = sum.failed > 0 || sum.skipped > 0 || sum.passed === 0 ? 1 : 0;
