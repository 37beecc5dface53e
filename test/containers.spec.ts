import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { SETTING_NAMES } from '../src/config.js';

const read = (name: string) => readFileSync(join(__dirname, '..', name), 'utf8');
const compose = parse(read('docker-compose.yml')) as {
  services: Record<
    'orchestrator' | 'postgres' | 'trace' | 'memagent',
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

  it('hand on every setting but those that say where things stand', () => {
    const places = /^(HOST|ORCHESTRATOR_(PORT|URL|TOKEN)|DATA_DIR|AGENTS_FILE|ROUTING_FILE|MASTER_KEY_FILE|ANCHOR_DIR)$/;
    const handed = Object.keys(compose.services.orchestrator.environment);
    expect(SETTING_NAMES.filter((name) => !places.test(name) && !handed.includes(name))).toEqual([]);
  });

  it('publish the API on this machine alone, and the database nowhere', () => {
    expect(compose.services.orchestrator.ports).toEqual([expect.stringMatching(/^127\.0\.0\.1:/)]);
    expect(compose.services.postgres.ports).toBeUndefined();
  });

  it.each([
    ['trace', 'TRACE_URL', 'http://trace:8787'],
    ['memagent', 'MEMAGENT_URL', 'http://memagent:8799'],
  ] as const)('forward to the small %s beside them, from a file that is there', (name, setting, url) => {
    const { orchestrator, [name]: peer } = compose.services;
    expect(orchestrator.environment[setting]).toContain(url);
    const [from, to] = peer.volumes[0]!.split(':') as [string, string];
    expect(existsSync(join(__dirname, '..', from, peer.command![1]!.slice(to.length + 1)))).toBe(true);
    expect(peer.ports).toEqual([expect.stringMatching(/^127\.0\.0\.1:/)]);
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
