// Imports run one way: contracts ← sdk; contracts ← domain ← catalogue ← openai-endpoints ← infrastructure libs ← apps. Each rule says why it exists.
const infrastructure = 'providers|queues|database|storage|realtime|outbound|webhooks|media';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-circles',
      comment: 'Two modules that import each other are one module, or hide a third.',
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
      name: 'sdk-imports-contracts-only',
      comment: 'A client is installed without the server, so it may know only what crosses the API.',
      severity: 'error',
      from: { path: '^packages/sdk/' },
      to: { path: '^(libs/|packages/(?!sdk/|contracts/)|apps/|deploy/)' },
    },
    {
      name: 'packages-use-no-node-api',
      comment: 'Browsers and React Native import them.',
      severity: 'error',
      from: { path: '^packages/', pathNot: '\\.spec\\.ts$' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'domain-is-pure',
      comment: 'Rules without I/O can be tested without it.',
      severity: 'error',
      from: { path: '^libs/domain/', pathNot: '\\.spec\\.ts$' },
      to: {
        path: '^(libs/(?!domain/|async/)|apps/|deploy/|node:(fs|net|http|https|child_process)|node_modules/(pg|bullmq|typeorm|ioredis)/)',
      },
    },
    {
      name: 'catalogue-is-data',
      comment: 'Everything reads the kinds, so they may import contracts, domain rules and libs/async only.',
      severity: 'error',
      from: { path: '^libs/catalogue/' },
      to: { path: '^(libs/(?!catalogue/|domain/|async/)|apps/|deploy/)' },
    },
    {
      name: 'infrastructure-stands-alone',
      comment:
        'An infrastructure library that imports another cannot be replaced alone. The apps connect them.',
      severity: 'error',
      from: { path: `^libs/(${infrastructure})/` },
      to: { path: `^(libs/(${infrastructure}|config)/|apps/|deploy/)`, pathNot: '^libs/$1/' },
    },
    {
      name: 'leaf-libraries',
      comment:
        'Everything may log, wait and, in its wiring, read settings; so these libraries import no other.',
      severity: 'error',
      from: { path: '^libs/(telemetry|config|async)/' },
      to: { path: '^(libs/|apps/|deploy/)', pathNot: '^libs/$1/' },
    },
    {
      name: 'only-wiring-reads-config',
      comment:
        'Libraries and use cases take options, so that a test can pass them. Only main files and module wiring read settings.',
      severity: 'error',
      from: {
        path: '^(libs|packages|apps)/',
        pathNot:
          '^libs/config/|^apps/[^/]+/src/(main|migrate|new-key|worker|start-[^/]+)\\.ts$|\\.module\\.ts$|^apps/api/src/infrastructure/|^apps/cli/src/credentials\\.ts$',
      },
      to: { path: '^libs/config/' },
    },
    {
      name: 'libs-through-their-index',
      comment: 'index.ts is the interface of a library; its other files may change without notice.',
      severity: 'error',
      from: { path: '^(apps|deploy|libs/([^/]+))/' },
      to: { path: '^libs/([^/]+)/(?!index\\.ts$)', pathNot: '^libs/$2/' },
    },
    {
      name: 'apps-import-no-app',
      comment: 'Processes communicate through Postgres, the queue and the bus, not through code.',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'libs-below-apps',
      comment: 'Libraries do not import apps.',
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
      comment:
        'Stores are the interface; a repository outside libs/database would bypass the workspace scope.',
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
