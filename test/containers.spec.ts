import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { SETTING_NAMES } from '../src/config.js';

const read = (name: string) => readFileSync(join(__dirname, '..', name), 'utf8');
const compose = parse(read('docker-compose.yml')) as {
  services: Record<
    'orchestrator' | 'postgres' | 'trace',
    { environment: Record<string, string | null>; ports?: string[]; volumes: string[]; command?: string[] }
  >;
};
const dockerfile = read('Dockerfile').split('\n');

describe('the containers', () => {
  it('set nothing that the orchestrator does not read', () => {
    const inImage = dockerfile.filter((line) => line.startsWith('ENV ')).flatMap((line) => [...line.matchAll(/(\w+)=/g)].map((m) => m[1]!));
    const set = [...Object.keys(compose.services.orchestrator.environment), ...inImage.filter((name) => name !== 'NODE_ENV')];
    expect(set).toContain('DATABASE_URL');
    expect(set.filter((name) => !SETTING_NAMES.includes(name))).toEqual([]);
  });

  it('publish the API on this machine alone, and the database nowhere', () => {
    expect(compose.services.orchestrator.ports).toEqual([expect.stringMatching(/^127\.0\.0\.1:/)]);
    expect(compose.services.postgres.ports).toBeUndefined();
  });

  it('forward to the small Trace beside them, from a file that is there', () => {
    const { orchestrator, trace } = compose.services;
    expect(orchestrator.environment['TRACE_URL']).toContain('http://trace:8787');
    const [from, to] = trace.volumes[0]!.split(':') as [string, string];
    expect(existsSync(join(__dirname, '..', from, trace.command![1]!.slice(to.length + 1)))).toBe(true);
    expect(trace.ports).toEqual([expect.stringMatching(/^127\.0\.0\.1:/)]);
  });

  it('are built from files that exist and that .dockerignore lets through', () => {
    const sources = dockerfile
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from'))
      .flatMap((line) => line.split(/\s+/).slice(1, -1));
    expect(sources).toContain('src');
    const allowed = read('.dockerignore')
      .split('\n')
      .flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []));
    expect(sources.filter((source) => !allowed.includes(source) || !existsSync(join(__dirname, '..', source)))).toEqual([]);
  });

  it('run as somebody who is not root', () => {
    expect(dockerfile.findLast((line) => line.startsWith('USER '))).toBe('USER node');
  });
});
