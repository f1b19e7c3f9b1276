// Adds up the reports of the test suites and of the fault runs, and lists the slowest suites. A missing report counts as
// one failure.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

const listedSuites = 15;
const counts = { passed: 0, failed: 0, skipped: 0 };

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    console.log(`no report at ${path}`);
    counts.failed++;
    return null;
  }
}

function printSlowest(testResults) {
  const suites = testResults
    .map(({ name, startTime, endTime }) => ({ name, seconds: (endTime - startTime) / 1_000 }))
    .sort((a, b) => b.seconds - a.seconds);
  const total = suites.reduce((sum, { seconds }) => sum + seconds, 0);
  for (const { name, seconds } of suites.slice(0, listedSuites)) {
    console.log(`${seconds.toFixed(0).padStart(6)} s  ${relative(process.cwd(), name)}`);
  }
  console.log(`${total.toFixed(0).padStart(6)} s  all ${suites.length} suites, two at a time`);
}

const [suites, chaos] = process.argv.slice(2).map(readReport);
if (suites) {
  printSlowest(suites.testResults);
  counts.passed += suites.numPassedTests;
  // A suite that does not load has no failed test.
  counts.failed += suites.numFailedTests + suites.numRuntimeErrorTestSuites;
  counts.skipped += suites.numPendingTests + suites.numTodoTests;
}
if (chaos) {
  for (const outcome of Object.keys(counts)) counts[outcome] += chaos[outcome];
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed > 0 || counts.skipped > 0 || counts.passed === 0 ? 1 : 0;
