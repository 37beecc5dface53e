/**
 * One agent's circuit breaker in this process. Closed: it is called. Open: it is not. After the pause one call is let through, and how it ends
 * decides. Whether the failures are too many is cockatiel's judgement; the states are kept here, since its policy makes others wait for the
 * probe that should go elsewhere, shows no state without a call, and costs four promises a call.
 */
import { CircuitState, ConsecutiveBreaker, CountBreaker } from 'cockatiel';

export interface BreakerLimits {
  readonly failures: number;
  readonly share: number;
  readonly window: number;
  readonly pauseMs: number;
}

/** What a call may be: one of many, or the one that decides. */
export type Pass = 'call' | 'probe';

export class Breaker {
  private readonly inARow: ConsecutiveBreaker;
  private readonly ofTheLatest: CountBreaker;
  private opened = false;
  private probing = false;
  private nextProbe = 0;

  constructor(
    private readonly limits: BreakerLimits,
    private readonly changed: (to: 'open' | 'closed', reason: string) => void,
    /** Milliseconds; never goes back. */
    private readonly now: () => number = () => performance.now(),
  ) {
    const { failures, share, window } = limits;
    this.inARow = new ConsecutiveBreaker(failures);
    // It opens above its threshold, we at it.
    this.ofTheLatest = new CountBreaker({ threshold: (Math.ceil(share * window) - 0.5) / window, size: window });
  }

  get state(): 'closed' | 'open' | 'half_open' {
    if (!this.opened) return 'closed';
    return this.probing || this.now() >= this.nextProbe ? 'half_open' : 'open';
  }

  /** null: not now. */
  begin(): Pass | null {
    if (!this.opened) return 'call';
    if (this.probing || this.now() < this.nextProbe) return null;
    this.probing = true;
    return 'probe';
  }

  /** Whether begin() would let a call through. */
  get admits(): boolean {
    return !this.opened || (!this.probing && this.now() >= this.nextProbe);
  }

  /** `well`: null if the call says nothing about the agent. `how`: in words, if it does not speak for it. */
  end(pass: Pass, well: boolean | null, how: string): void {
    if (pass === 'probe') {
      this.probed(well);
      return;
    }
    if (this.opened || well === null) return; // begun before it opened: told already
    if (well) {
      this.inARow.success();
      this.ofTheLatest.success(CircuitState.Closed);
      return;
    }
    const [row, latest] = [this.inARow.failure(), this.ofTheLatest.failure(CircuitState.Closed)];
    if (!row && !latest) return;
    this.opened = true;
    this.nextProbe = this.now() + this.limits.pauseMs;
    const { failures, window } = this.limits;
    this.changed('open', `${row ? `${failures} calls in a row` : `too many of the latest ${window} calls`} failed, the last one ${how}`);
  }

  private probed(well: boolean | null): void {
    this.probing = false;
    if (well === false) this.nextProbe = this.now() + this.limits.pauseMs;
    if (!well) return;
    this.opened = false;
    this.inARow.success();
    this.ofTheLatest.success(CircuitState.HalfOpen);
    this.changed('closed', 'a call went well again');
  }
}
