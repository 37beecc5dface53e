import { z } from 'zod';
import { numberBetween, wholeNumber } from '../kernel/setting.js';

export const ApiSettings = z.object({
  ORCHESTRATOR_PORT: wholeNumber(0, 65_535).default(8888),
  /** Address to listen on. Unset: this machine alone while nobody has to show a token, else every address. */
  HOST: z.string().min(1).optional(),
  /** Seconds a task may take when its caller does not say. */
  TASK_TIMEOUT_SECONDS: numberBetween(0.001, 600).default(30),
});

export type ApiSettings = z.output<typeof ApiSettings>;

/** Token under which the settings are injected. */
export const API_SETTINGS = Symbol('ApiSettings');
