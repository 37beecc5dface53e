/**
 * Packages are loaded by Node itself, once per worker. Jest would compile and run their two thousand files anew for every suite, which
 * took more time than the tests. For this the suites of a worker share Node's own realm (jest-environment.mjs), as the product runs; what
 * is ours is still a fresh copy for each suite, but compiled once.
 *
 * Leans on the executor inside jest-runtime: the version is pinned, and without it no suite runs at all.
 */
import { createRequire, isBuiltin } from 'node:module';
import { compileFunction } from 'node:vm';
import Runtime from 'jest-runtime';
import { keepWhatIsAdded } from './jest-environment.mjs';

// As if a package asked: require() of an ES module is nothing to warn of there.
const nodes = createRequire(new URL('../../node_modules/', import.meta.url));
const OURS = /^(?:[./]|file:|agent-orchestrator$)/;

const packages = new Map();
const compiled = new Map();

function load(name) {
  if (!packages.has(name)) keepWhatIsAdded(() => packages.set(name, nodes(name)));
  return packages.get(name);
}

export default class PackagesByNode extends (Runtime.default ?? Runtime) {
  constructor(...args) {
    super(...args);
    const { executor } = this;
    executor.compile = (source, filename) => {
      const known = compiled.get(filename);
      if (known?.source === source) return known.run;
      const run = compileFunction(source, executor.injectedModuleParameters, { filename });
      compiled.set(filename, { source, run });
      return run;
    };
  }

  requireModule(from, name, options, actual) {
    const isPackage = name !== undefined && !options?.isInternalModule && !OURS.test(name) && !isBuiltin(name);
    return isPackage ? load(name) : super.requireModule(from, name, options, actual);
  }
}
