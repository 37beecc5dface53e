/** On whose behalf something is asked. */
export interface Caller {
  readonly tenant: string;
  /** Subject of the caller's token; null while authentication is off. */
  readonly principal: string | null;
  /** W3C trace id of the request, 32 hex digits. */
  readonly trace: string | null;
}
