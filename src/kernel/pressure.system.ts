/** Whether this process has more to do than it can: background work then gives way. */

const SAMPLE_MS = 250;
const BUSY = 0.75;

/** True while the event loop was busy for most of the last quarter of a second. */
export function busyLoop(): () => boolean {
  let sample = performance.eventLoopUtilization();
  let at = performance.now();
  let busy = false;
  return () => {
    const now = performance.now();
    if (now - at >= SAMPLE_MS) {
      busy = performance.eventLoopUtilization(sample).utilization > BUSY;
      sample = performance.eventLoopUtilization();
      at = now;
    }
    return busy;
  };
}
