/** Folds what an agent says in the course of one call: a message, or a task and what becomes of it. */
import { z } from 'zod';
import type { Answer, Progress } from '../../../agents/agent-client.js';
import { Artifact, answerOfMessage, answerOfTask, isRunning, Message, type Part, Status, stateWord, Task } from './reading.js';

const StatusUpdate = z.object({ taskId: z.string().min(1), contextId: z.string().optional(), status: Status });
const ArtifactUpdate = z.object({
  taskId: z.string().min(1),
  contextId: z.string().optional(),
  artifact: Artifact,
  append: z.boolean().default(false),
});
const Event = z
  .object({ message: Message, task: Task, statusUpdate: StatusUpdate, artifactUpdate: ArtifactUpdate })
  .partial()
  .refine((event) => Object.keys(event).length === 1, 'is none of message, task, statusUpdate and artifactUpdate');

export class Following {
  private message: Message | null = null;
  private task: Task | null = null;
  /** Where in the task each artifact stands: a stream may name many thousands. */
  private places = new Map<string, number>();
  /** Why what the agent said cannot be its answer to us; after that nothing counts. */
  wrong: string | null = null;

  /** `taskId`: of the task that the call continues. */
  constructor(
    private readonly taskId: string | undefined,
    private readonly progress: (progress: Progress) => void,
  ) {}

  /** One thing the agent said, as JSON of A2A 1.0. */
  add(said: unknown): void {
    if (this.final) return;
    const parsed = Event.safeParse(said);
    if (!parsed.success) {
      this.wrong = `the agent said something that is no message, task or update of A2A: ${why(parsed.error)}`;
      return;
    }
    const { message, task, statusUpdate, artifactUpdate } = parsed.data;
    if (message) this.takeMessage(message);
    else if (task) this.takeTask(task);
    else if (statusUpdate) this.takeStatus(statusUpdate);
    else if (artifactUpdate) this.takeArtifact(artifactUpdate);
  }

  /** The task that the agent works on, once it has named it. */
  get runningTask(): string | null {
    return this.task && isRunning(this.task) ? this.task.id : null;
  }

  get final(): boolean {
    return this.wrong !== null || this.message !== null || (this.task !== null && !isRunning(this.task));
  }

  /** Of what is final. */
  answer(): Answer {
    if (this.wrong !== null) return { success: false, code: 'agent_invalid_response', message: this.wrong };
    return this.message ? answerOfMessage(this.message) : answerOfTask(this.task!);
  }

  private takeTask(task: Task): void {
    if (this.isStrange(task.id)) return;
    const before = this.task?.status;
    this.task = task;
    this.places = new Map(task.artifacts.map(({ artifactId }, i) => [artifactId, i]));
    if (before?.state !== task.status.state) this.tell(task.status);
  }

  private takeMessage(message: Message): void {
    if (message.taskId === undefined || !this.isStrange(message.taskId)) this.message = message;
  }

  private takeStatus({ taskId, contextId, status }: z.output<typeof StatusUpdate>): void {
    if (this.isStrange(taskId)) return;
    const task = this.taskOf(taskId, contextId);
    task.status = status;
    this.tell(status);
  }

  private takeArtifact({ taskId, contextId, artifact, append }: z.output<typeof ArtifactUpdate>): void {
    if (this.isStrange(taskId)) return;
    const { artifacts } = this.taskOf(taskId, contextId);
    const at = this.places.get(artifact.artifactId);
    if (at === undefined) this.places.set(artifact.artifactId, artifacts.push(artifact) - 1);
    else if (append) for (const part of artifact.parts) artifacts[at]!.parts.push(part);
    else artifacts[at] = artifact;
    const delta = textOf(artifact.parts);
    if (delta) this.progress({ delta });
  }

  /** Some agents begin with an update; 1.0 wants the task first. */
  private taskOf(id: string, contextId: string | undefined): Task {
    this.task ??= { id, contextId, status: { state: 'TASK_STATE_WORKING' }, artifacts: [] };
    this.task.contextId ??= contextId;
    return this.task;
  }

  private isStrange(id: string): boolean {
    const expected = this.task?.id ?? this.taskId;
    if (expected === undefined || expected === id) return false;
    this.wrong = `the agent spoke of task ${id.slice(0, 100)}, asked was about ${expected.slice(0, 100)}`;
    return true;
  }

  private tell({ state, message }: z.output<typeof Status>): void {
    const words = message && textOf(message.parts);
    this.progress({ status: words ? `${stateWord(state)}: ${words}` : stateWord(state) });
  }
}

const textOf = (parts: readonly Part[]) => parts.map(({ text }) => text ?? '').join('');

const why = (error: z.ZodError) =>
  error.issues
    .slice(0, 3)
    .map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`)
    .join('; ')
    .slice(0, 500);
