import { spawnSync } from 'node:child_process';

/** Claims that another program confirms are skipped on a machine without it. */
export const itWith = (program: string) => (spawnSync(program, ['version'], { stdio: 'ignore' }).error === undefined ? it : it.skip);
