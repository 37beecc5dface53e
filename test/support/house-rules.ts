import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, posix } from 'node:path';
import ts from 'typescript';

/** A room imports itself and rooms of lower rank; '' is src itself, with the command line that stands in a folder of its own. */
const RANKS = {
  kernel: 0,
  ledger: 1,
  agents: 2,
  contracts: 2,
  routing: 3,
  orchestration: 4,
  memory: 4,
  audit: 5,
  integration: 6,
  api: 6,
  '': 7,
};
const ROLES =
  'module commands queries controller filter guard stream follower worker postgres memory system client schema settings cli'.split(' ');
const PURE_ROLES = ['schema', 'settings'];
/** The only files without a role that may touch the world. */
const IMPURE_ROOT = ['main.ts', 'cli.ts', 'config.ts'];
/** What files without a role may import beside each other. */
const PURE_PACKAGES = [
  'zod',
  'ajv',
  'ajv/dist/2019.js',
  'ajv/dist/2020.js',
  'ajv-formats/dist/formats.js',
  'lru-cache',
  'eventsource-parser',
  'microdiff',
  'minisearch',
  're2js',
  'stemmer',
];
/** Hashes, and Ed25519, which needs no chance to sign. */
const PURE_CRYPTO = ['createHash', 'hash', 'createPrivateKey', 'createPublicKey', 'KeyObject', 'sign', 'verify'];
const IMPURE_NAMES = 'process setTimeout setInterval setImmediate fetch performance crypto globalThis require'.split(' ');
const IMPURE_MEMBERS = ['Date.now', 'Math.random', 'AbortSignal.timeout'];
const MAX_LINES = 250;
const MAX_PARAMETERS = 4;
const MAX_INJECTED = 6;
const EMPTY_NAMES = ['util', 'utils', 'helper', 'helpers', 'common', 'misc', 'index'];
const FOREIGN_PACKAGES = ['class-validator', 'class-transformer'];
const FOREIGN_DECORATORS = ['Entity', 'Saga'];
const ERROR_HOME = 'kernel/errors.ts';
export const PAYLOAD_HOME = 'ledger/payload.postgres.ts';
const PAYLOAD_SQL = /\b(?:from|join|into|update|using|truncate)\s+(?:only\s+|table\s+)?(?:"?\w+"?\.)?"?payload\b/i;

export interface File {
  /** Relative to src, with forward slashes. */
  path: string;
  text: string;
}
type Check = (file: File, tree: ts.SourceFile) => string[];

const trees = new WeakMap<File, ts.SourceFile>();

function parse(file: File): ts.SourceFile {
  const tree = trees.get(file) ?? ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ES2023, true);
  trees.set(file, tree);
  return tree;
}

function nodes(tree: ts.Node): ts.Node[] {
  const inner: ts.Node[] = [];
  tree.forEachChild((child) => void inner.push(child, ...nodes(child)));
  return inner;
}

const each = (check: Check) => (files: File[]) =>
  files.flatMap((file) => check(file, parse(file)).map((fault) => `${file.path}: ${fault}`));
const room = (path: string) => (path.includes('/') && !path.startsWith('cli/') ? path.slice(0, path.indexOf('/')) : '');
const rank = (path: string): number => RANKS[room(path) as keyof typeof RANKS] ?? Number.NaN;
const role = (path: string): string | undefined => basename(path, '.ts').split('.').slice(1).join('.') || undefined;
const isPure = (path: string) => PURE_ROLES.includes(role(path) ?? '') || (role(path) === undefined && !IMPURE_ROOT.includes(path));

/** Every module a file names, and the path within src it stands for if it is one of ours. */
function imports(path: string, tree: ts.SourceFile): { module: string; ours: string | undefined; declaration: ts.Node }[] {
  return nodes(tree).flatMap((node) => {
    const from = ts.isImportDeclaration(node) || ts.isExportDeclaration(node) ? node.moduleSpecifier : undefined;
    const dynamic = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword ? node.arguments[0] : undefined;
    const typed = ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
    const name = from ?? dynamic ?? typed;
    if (!name || !ts.isStringLiteralLike(name)) return [];
    const file = posix.join(posix.dirname(path), name.text).replace(/\.js$/, '.ts');
    const ours = name.text === 'agent-orchestrator' ? 'agents/agent.ts' : name.text.startsWith('.') ? file : undefined;
    return [{ module: name.text, ours, declaration: node }];
  });
}

/** An identifier that stands for a value of that name, not a member or a declaration called the same. */
function isReference(node: ts.Node): node is ts.Identifier {
  if (!ts.isIdentifier(node)) return false;
  const parent = node.parent as ts.Node & { name?: ts.Node; propertyName?: ts.Node; right?: ts.Node };
  if (ts.isShorthandPropertyAssignment(parent)) return true;
  return parent.name !== node && parent.propertyName !== node && !(ts.isQualifiedName(parent) && parent.right === node);
}

function decorators(tree: ts.Node): { name: string; target: string | undefined }[] {
  return nodes(tree)
    .filter(ts.isDecorator)
    .map(({ expression: e }) =>
      ts.isCallExpression(e)
        ? { name: e.expression.getText(), target: e.arguments[0]?.getText() }
        : { name: e.getText(), target: undefined },
    );
}

export const rules = {
  'a room imports itself and lower ranks only': each(({ path }, tree) => {
    if (Number.isNaN(rank(path))) return [`the room ${room(path)} has no rank`];
    const reached = imports(path, tree).filter(({ ours }) => ours !== undefined && room(ours) !== room(path) && !(rank(ours) < rank(path)));
    return reached.map(({ module }) => `imports ${module}, which is not below it`);
  }),

  'a role is one of the closed list': each(({ path }) => {
    const own = role(path);
    return own === undefined || ROLES.includes(own) ? [] : [`has the unknown role .${own}`];
  }),

  'a file without a role imports only pure things': each(({ path }, tree) => {
    if (!isPure(path)) return [];
    const impure = imports(path, tree).filter(({ module, ours, declaration }) => {
      if (ours !== undefined) return !isPure(ours);
      if (module !== 'node:crypto') return !PURE_PACKAGES.includes(module);
      const named = ts.isImportDeclaration(declaration) ? declaration.importClause?.namedBindings : undefined;
      return !named || !ts.isNamedImports(named) || !named.elements.every((e) => PURE_CRYPTO.includes((e.propertyName ?? e.name).text));
    });
    return impure.map(({ module }) => `is pure by name and imports ${module}`);
  }),

  'a file without a role knows no clock, chance, environment or network': each(({ path }, tree) => {
    if (!isPure(path)) return [];
    const used = nodes(tree).filter((node) => {
      if (ts.isPropertyAccessExpression(node)) return IMPURE_MEMBERS.includes(node.getText());
      if (ts.isNewExpression(node)) return node.expression.getText() === 'Date' && !node.arguments?.length;
      if (ts.isCallExpression(node)) return node.expression.getText() === 'Date';
      return isReference(node) && IMPURE_NAMES.includes(node.text);
    });
    return used.map((node) => `is pure by name and uses ${node.getText()}`);
  }),

  'a file has at most 250 lines': each(({ text }) => {
    const lines = text.replace(/\n$/, '').split('\n').length;
    return lines > MAX_LINES ? [`has ${lines} lines`] : [];
  }),

  'a function has at most 4 parameters, an injected constructor 6': each(({ path }, tree) =>
    nodes(tree).flatMap((node) => {
      if (!ts.isFunctionLike(node)) return [];
      const count = node.parameters.filter((parameter) => parameter.name.getText() !== 'this').length;
      const injected = ts.isConstructorDeclaration(node) && role(path) !== undefined && decorators(node.parent).length > 0;
      return count > (injected ? MAX_INJECTED : MAX_PARAMETERS)
        ? [`has a function with ${count} parameters: ${node.getText().slice(0, 60)}`]
        : [];
    }),
  ),

  'a file is named after what it holds and holds something': each(({ path }, tree) => {
    const empty = path
      .replace(/\.ts$/, '')
      .split(/[/.]/)
      .filter((part) => EMPTY_NAMES.includes(part));
    const onlyPasses = tree.statements.every((s) => ts.isImportDeclaration(s) || ts.isExportDeclaration(s));
    return [...empty.map((part) => `is named ${part}`), ...(onlyPasses ? ['holds nothing of its own'] : [])];
  }),

  'nothing is called Impl': each((_, tree) => {
    const names = nodes(tree).filter((node) => ts.isIdentifier(node) && node.text.endsWith('Impl'));
    return [...new Set(names.map((node) => `names ${node.getText()}`))];
  }),

  'there are no entities, sagas, aggregate roots or validation decorators': each(({ path }, tree) => [
    ...decorators(tree)
      .filter(({ name }) => FOREIGN_DECORATORS.includes(name))
      .map(({ name }) => `decorates with @${name}`),
    ...imports(path, tree)
      .filter(({ module }) => FOREIGN_PACKAGES.includes(module))
      .map(({ module }) => `imports ${module}`),
    ...(nodes(tree).some((node) => isReference(node) && node.text === 'AggregateRoot') ? ['uses AggregateRoot'] : []),
  ]),

  'one class extends Error': (files: File[]) => {
    const classes = files.flatMap((file) =>
      nodes(parse(file))
        .filter(ts.isClassLike)
        .flatMap((node) => {
          const base = node.heritageClauses
            ?.find((clause) => clause.token === ts.SyntaxKind.ExtendsKeyword)
            ?.types[0]?.expression.getText();
          return base && /(Error|Exception)$/.test(base)
            ? [{ home: file.path, fault: `${file.path}: ${node.name?.text} extends ${base}` }]
            : [];
        }),
    );
    const allowed = classes.find(({ home, fault }) => home === ERROR_HOME && fault.endsWith(' Error'));
    return classes.filter((found) => found !== allowed).map(({ fault }) => fault);
  },

  'a command or query has one handler': (files: File[]) => {
    const handled = files.flatMap((file) =>
      decorators(parse(file))
        .filter(({ name }) => /^(Command|Query)Handler$/.test(name))
        .map(({ target }) => ({ path: file.path, target })),
    );
    const again = handled.filter(({ target }, i) => handled.findIndex((other) => other.target === target) < i);
    return again.map(({ path, target }) => `${path}: handles ${target} a second time`);
  },

  'one file reads and writes the table payload': each(({ path }, tree) => {
    if (path === PAYLOAD_HOME) return [];
    const texts = nodes(tree).filter((node) => ts.isStringLiteralLike(node) || ts.isTemplateExpression(node));
    return texts.some((node) => PAYLOAD_SQL.test(node.getText())) ? ['speaks SQL to the table payload'] : [];
  }),
};

export function sources(): File[] {
  const root = join(__dirname, '../../src');
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
  return paths.map((path) => ({ path: path.replaceAll('\\', '/'), text: readFileSync(join(root, path), 'utf8') }));
}
