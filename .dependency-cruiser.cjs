// Imports run one way: contracts ← catalogue, domain ← infrastructure libs ← apps. Each rule says why it is there.
const infrastructure = 'providers|queues|database|storage|realtime|outbound|webhooks|media';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-circles',
      comment: 'Two modules that need each other are one, or hide a third.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'contracts-import-nothing-of-ours',
      comment: 'What crosses a boundary must be readable without what stands behind it.',
      severity: 'error',
      from: { path: '^packages/contracts/' },
      to: { path: '^(libs/|packages/(?!contracts/)|apps/|deploy/)' },
    },
    {
      name: 'domain-is-pure',
      comment: 'Rules without I/O can be tested without it, and moved without it.',
      severity: 'error',
      from: { path: '^libs/domain/', pathNot: '\\.spec\\.ts$' },
      to: {
        path: '^(libs/(?!domain/)|apps/|deploy/|node:(fs|net|http|https|child_process)|node_modules/(pg|bullmq|typeorm|ioredis)/)',
      },
    },
    {
      name: 'catalogue-is-data',
      comment: 'A kind is read by everything, so it may lean on contracts and rules alone.',
      severity: 'error',
      from: { path: '^libs/catalogue/' },
      to: { path: '^(libs/(?!catalogue/|domain/)|apps/|deploy/)' },
    },
    {
      name: 'infrastructure-stands-alone',
      comment: 'One that imported another could not be replaced alone; the apps join them.',
      severity: 'error',
      from: { path: `^libs/(${infrastructure})/` },
      to: { path: `^(libs/(${infrastructure}|config)/|apps/|deploy/)`, pathNot: '^libs/$1/' },
    },
    {
      name: 'telemetry-and-config-are-leaves',
      comment: 'Everything may log, so logging may need nothing.',
      severity: 'error',
      from: { path: '^libs/(telemetry|config)/' },
      to: { path: '^(libs/|apps/|deploy/)', pathNot: '^libs/$1/' },
    },
    {
      name: 'only-wiring-reads-config',
      comment: 'Libraries and use cases take options, so that a test can give them.',
      severity: 'error',
      from: { path: '^libs/(?!config/)' },
      to: { path: '^libs/config/' },
    },
    {
      name: 'libs-through-their-door',
      comment: 'Only index.ts of a library is its interface; the rest may change without notice.',
      severity: 'error',
      from: { path: '^(apps|deploy|libs/([^/]+))/' },
      to: { path: '^libs/([^/]+)/(?!index\\.ts$)', pathNot: '^libs/$2/' },
    },
    {
      name: 'apps-do-not-meet',
      comment: 'Processes talk through Postgres, the queue and the bus, never through code.',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'libs-below-apps',
      comment: 'The arrows point down.',
      severity: 'error',
      from: { path: '^libs/' },
      to: { path: '^(apps|deploy|test)/', pathNot: '^test/support/' },
    },
    {
      name: 'only-queues-knows-bullmq',
      comment: 'One place to change when the queue library does.',
      severity: 'error',
      from: { path: '^(apps|deploy|libs/(?!queues/))' },
      to: { path: 'node_modules/bullmq/' },
    },
    {
      name: 'only-database-knows-typeorm',
      comment: 'Stores are the interface; a repository outside of them would go around the workspace scope.',
      severity: 'error',
      from: { path: '^(apps|deploy|libs/(?!database/))' },
      to: { path: 'node_modules/typeorm/' },
    },
    {
      name: 'no-dev-dependencies-at-run-time',
      comment: 'An image is built without them.',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: '\\.spec\\.ts$' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|coverage)/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      conditionNames: ['source', 'import', 'node', 'default', 'types'],
      exportsFields: ['exports'],
      extensions: ['.ts', '.js', '.mjs', '.cjs'],
    },
  },
};
