/**
 * deploy/install/ has a package.json for each app, so that `npm ci --omit=dev -w @millrace/api` installs what that app needs
 * and no more. They must list exactly what the app's code imports, in the versions of the root package.json.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync } from '@swc/core';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string) => readFileSync(`${root}${path}`, 'utf8');

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies: Record<string, string>;
}

const readManifest = (path: string) => JSON.parse(read(`${path}/package.json`)) as Manifest;

/** What each app starts with: its programs, and files that it starts by their path. */
const entries: Record<string, readonly string[]> = {
  api: ['apps/api/src/main.ts', 'apps/api/src/migrate.ts'],
  worker: ['apps/worker/src/main.ts', 'libs/providers/transformers/thread.ts'],
};

interface SyntaxNode {
  readonly type?: string;
  readonly typeOnly?: boolean;
  readonly source?: { readonly value: string } | null;
  readonly callee?: { readonly type: string };
  readonly arguments?: readonly { readonly expression: { readonly value: string } }[];
}

/** @returns the specifiers of all imports that are left when the types are removed. */
function listImports(path: string): string[] {
  const specifiers: string[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    const { type = '', typeOnly, source, callee, arguments: args } = value as SyntaxNode;
    if (/^(Import|ExportNamed|ExportAll)Declaration$/.test(type) && source) {
      if (!typeOnly) specifiers.push(source.value);
    } else if (callee?.type === 'Import') {
      specifiers.push(args![0]!.expression.value);
    } else {
      Object.values(value).forEach(visit);
    }
  };
  visit(parseSync(read(path), { syntax: 'typescript', decorators: true, target: 'es2024' }).body);
  return specifiers;
}

/** Follows all imports from the entries. @returns the packages that our own files import. */
function listPackages(starts: readonly string[]): string[] {
  const packages = new Set<string>();
  const seen = new Set<string>(starts);
  // Sources are added while the loop runs.
  for (const path of seen) {
    for (const specifier of listImports(path)) {
      if (specifier.startsWith('.')) seen.add(posix.join(posix.dirname(path), specifier));
      else if (specifier.startsWith('#')) seen.add(`libs/${specifier.slice(1)}/index.ts`);
      else if (!specifier.startsWith('node:')) {
        const [scope, name] = specifier.split('/');
        packages.add(specifier.startsWith('@') ? `${scope}/${name}` : scope!);
      }
    }
  }
  return [...packages].sort();
}

const { dependencies: rootDependencies, ...rootManifest } = readManifest('.');

test('there is a manifest for each app with dependencies of its own', () => {
  expect(readdirSync(`${root}deploy/install`).sort()).toEqual(Object.keys(entries).sort());
});

test.each(Object.keys(entries))('the manifest of %s lists what its code imports', (app) => {
  const { dependencies, ...manifest } = readManifest(`deploy/install/${app}`);
  const versions = listPackages(entries[app]!).map((name) => [name, rootDependencies[name]]);
  expect(dependencies).toEqual(Object.fromEntries(versions));
  expect(manifest).toMatchObject({ name: `@millrace/${app}`, version: rootManifest.version });
});
