import { running } from '../support/orchestrator.js';
import { anyPlace } from '../support/place.js';

/** Hosts that serve files to pages. The scripts are full of other URLs: names, links and words of error messages. */
const FILE_HOSTS = /https?:\/\/(?:cdn|fonts|unpkg|static|validator)[\w.-]*/g;
/** Swagger UI would show a badge from there, but for the setting that the page gives it. */
const SWITCHED_OFF = 'https://validator.swagger.io';

describe.each(['/docs', '/redoc'])('the page %s', (page) => {
  const ao = running(anyPlace);
  const SOURCES = [`'self'`, `'none'`, `'unsafe-inline'`, 'data:', 'blob:'];

  it('loads all it needs from here, and nothing of that names another place to load from', async () => {
    const { status, type, text: html } = await ao.get(page);
    expect([status, type]).toEqual([200, 'text/html']);
    const loaded = [...html.matchAll(/\b(?:src|href|spec-url)\s*=\s*["']([^"']+)["']/g)].map(
      ([, url]) => new URL(url!, `${ao.server.url}${page}`),
    );
    const paths = loaded.map((url) => url.pathname);
    expect(paths).toEqual(
      expect.arrayContaining(page === '/docs' ? ['/docs/swagger-ui.css', '/docs/swagger-ui-init.js'] : ['/openapi.json']),
    );
    expect(new Set(loaded.map((url) => url.origin))).toEqual(new Set([ao.server.url]));
    const files = await Promise.all(paths.map((path) => ao.get(path).buffer(true).expect(200)));
    for (const file of files) {
      const text = file.text ?? '';
      expect((text.match(FILE_HOSTS) ?? []).filter((host) => host !== SWITCHED_OFF)).toEqual([]);
      if (file.type === 'text/css') expect([...text.matchAll(/@import|url\((?!["']?data:)[^)]*/g)].map(([found]) => found)).toEqual([]);
    }
    if (page === '/docs') expect(files.map((file) => file.text).join('')).toContain('"validatorUrl": null');
  });

  it('has a policy under which the browser asks nobody else', async () => {
    const { headers } = await ao.get(page);
    const directives = headers['content-security-policy']!.split('; ').map((directive) => directive.split(' '));
    const policy = new Map(directives.map(([name, ...sources]) => [name, sources]));
    expect(policy.get('default-src')).toEqual([`'none'`]);
    expect(policy.get('script-src')).toEqual([`'self'`]);
    for (const [name, sources] of policy) expect([name, sources.filter((source) => !SOURCES.includes(source))]).toEqual([name, []]);
    expect((await ao.get('/v1/health')).headers['content-security-policy']).toBeUndefined();
  });
});
