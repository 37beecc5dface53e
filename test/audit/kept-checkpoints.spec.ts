import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keptCheckpoints } from '../../src/audit/kept-checkpoints.system.js';
import { signCheckpoint } from '../../src/ledger/checkpoint.js';
import { CheckpointDirectory } from '../../src/ledger/checkpoint-dir.system.js';
import { scratchDirectory } from '../support/place.js';
import { KEY, ORIGIN } from './paper-evidence.js';

describe('checkpoints kept in a directory', () => {
  it('are the newest of each log, whatever files lie beside them', async () => {
    const directory = await scratchDirectory();
    await writeFile(join(directory, 'README'), 'mounted from the vault');
    const notes = [3, 7].map((size) => signCheckpoint(ORIGIN, { size: BigInt(size), root: Buffer.alloc(32, size) }, [KEY]));
    for (const [i, size] of [3, 7].entries()) await new CheckpointDirectory(directory).keep({ origin: ORIGIN, size, note: notes[i]! });
    expect(await keptCheckpoints(directory)).toEqual([{ note: notes[1], from: expect.stringContaining('00007.checkpoint') }]);
  });

  it('are none where nothing was signed yet', async () => {
    expect(await keptCheckpoints(join(await scratchDirectory(), 'none'))).toEqual([]);
  });
});
