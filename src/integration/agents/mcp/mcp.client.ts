/** Calls the tools of one MCP server: a capability is a tool, the parameters are its arguments. */
import { type Client, isInputRequiredResult, SdkHttpError } from '@modelcontextprotocol/client';
import { z } from 'zod';
import type { KnownDescription, Task } from '../../../agents/agent.js';
import { AgentClient, type Answer, type CallOptions, type Health } from '../../../agents/agent-client.js';
import type { JsonValue } from '../../../kernel/json.js';
import { traceHeaders } from '../../../kernel/trace.js';
import type { Connection } from './connection.client.js';
import { failureOf } from './failure.client.js';
import { paramHeaders } from './param-headers.js';
import { readInputRequired, readToolResult } from './tool-result.js';

/** The SDK would give up after a minute; here `stop` says when. */
const NO_TIMEOUT_MS = 2 ** 31 - 1;
const HEALTH_MS = 5000;
/** Where a tool that must not do the same thing twice finds the REQUEST's id. */
const TASK_ID_META = 'agent-orchestrator/task_id';
const AS_IT_CAME = z.custom<JsonValue>();

export class McpClient extends AgentClient {
  private probing: Promise<Health> | null = null;

  constructor(
    private readonly connection: Connection,
    private readonly description: KnownDescription,
  ) {
    super();
  }

  async call(task: Task, options: CallOptions): Promise<Answer> {
    const stopped = new Promise<never>((_, reject) => options.stop.onStop(reject));
    let asked = false;
    const ask = (client: Client) => {
      asked = true;
      return this.ask(client, task, options);
    };
    try {
      const result = await Promise.race([this.connection.use(ask), stopped]);
      return isInputRequiredResult(result) ? readInputRequired(result as JsonValue) : readToolResult(result);
    } catch (error) {
      const failure = failureOf(error);
      return asked ? failure : { ...failure, fault: { ...failure.fault, untouched: true } };
    }
  }

  /** `request` rather than `callTool`, which drops what it does not know from the result and checks it with a compiler that has no bounds. */
  private ask(client: Client, task: Task, { stop, trace, progress }: CallOptions): Promise<JsonValue> {
    const { task_id, capability, parameters } = task;
    const traced = traceHeaders(trace, task_id);
    const schema = this.description.capabilities.find(({ name }) => name === capability)?.input_schema;
    const _meta = { [TASK_ID_META]: task_id, ...traced };
    return client.request({ method: 'tools/call', params: { name: capability, arguments: parameters, _meta } }, AS_IT_CAME, {
      signal: stop.signal,
      timeout: NO_TIMEOUT_MS,
      allowInputRequired: true,
      headers: {
        'idempotency-key': task_id,
        ...traced,
        ...(client.getProtocolEra() === 'modern' && paramHeaders(schema, parameters)),
      },
      ...(progress && {
        onprogress: ({ progress: done, total, message }) =>
          progress({ status: message ?? (total === undefined ? `${done}` : `${done} of ${total}`) }),
      }),
    });
  }

  /** Those who ask while a probe is under way share it. */
  health(): Promise<Health> {
    this.probing ??= this.probe().finally(() => {
      this.probing = null;
    });
    return this.probing;
  }

  private async probe(): Promise<Health> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${HEALTH_MS / 1000} s`)), HEALTH_MS);
    });
    const ping = () => Promise.race([this.connection.use(alive), late]);
    try {
      // A session that is gone says nothing about the server: it is asked once more, in a new one.
      await ping().catch((error) => (error instanceof SdkHttpError ? ping() : Promise.reject(error)));
      return { status: 'healthy', error: null };
    } catch (error) {
      return { status: 'unhealthy', error: failureOf(error).message };
    } finally {
      clearTimeout(timer);
    }
  }

  close(): Promise<void> {
    return this.connection.close();
  }
}

/** 2026-07-28 has no ping. */
async function alive(client: Client): Promise<void> {
  const options = { timeout: HEALTH_MS };
  await (client.getProtocolEra() === 'modern' ? client.discover(options) : client.ping(options));
}
