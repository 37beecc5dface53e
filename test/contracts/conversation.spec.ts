import { ERROR_CODES } from '../../src/contracts/contract.js';
import { fitting, standing, type Turn } from '../../src/contracts/conversation.js';

const turn = (response: string, code: string | null, continuation?: string): Turn => ({ response, code, continuation });

describe('where a conversation stands', () => {
  it('is what the newest answer has left', () => {
    expect(standing([turn('b', null, 'B'), turn('a', null, 'A')])).toEqual({ response: 'b', continuation: 'B', waits: false });
  });

  it.each(['input_required', 'auth_required'])('after %s is that the agent waits', (code) => {
    expect(standing([turn('b', code, 'B')])).toEqual({ response: 'b', continuation: 'B', waits: true });
  });

  it('stays where it was while the agent is not heard', () => {
    const unheard = [
      'invalid_input',
      'agent_busy',
      'agent_threw',
      'agent_timeout',
      'agent_unreachable',
      'breaker_open',
      'cancelled',
      'interrupted',
    ];
    const turns = unheard.map((code, i) => turn(`${i}`, code));
    expect(standing([...turns, turn('a', 'input_required', 'A')])).toEqual({ response: 'a', continuation: 'A', waits: true });
    expect(standing(turns)).toBeUndefined();
    for (const code of Object.keys(ERROR_CODES).filter((c) => !unheard.includes(c)))
      expect([code, standing([turn('b', code), turn('a', null, 'A')])]).toEqual([code, null]);
  });

  it('is over once the agent answers and leaves nothing', () => {
    expect(standing([turn('b', null), turn('a', 'input_required', 'A')])).toBeNull();
  });

  it('is not known from nothing', () => {
    expect(standing([])).toBeUndefined();
  });

  it('goes on from a null that an agent left', () => {
    expect(standing([{ response: 'a', code: null, continuation: null }])).toMatchObject({ continuation: null });
  });
});

describe('what fits', () => {
  it('is taken in order, and what is too large is left out for smaller things behind it', () => {
    expect(fitting([4, 3, 9, 2, 1], (n) => n, 10)).toEqual([4, 3, 2, 1]);
    expect(fitting([11, 10, 1], (n) => n, 10)).toEqual([10]);
    expect(fitting([], () => 1, 10)).toEqual([]);
  });
});
