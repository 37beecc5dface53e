/** The tasks of a session as trees: below a plan its steps, below an attempt the one that followed it. */
import { z } from 'zod';
import { printable } from '../kernel/printable.js';
import type { Colours } from '../kernel/terminal.system.js';
import { between } from './contracts-table.cli.js';
import type { ContractHalf } from './orchestrator.schema.js';

interface Node {
  /** Among the steps of a plan; '' elsewhere. */
  readonly place: string;
  readonly text: string;
  readonly below: Node[];
}

/** What the record of a plan and of its steps says, as far as it is drawn. */
const Step = z.looseObject({ plan: z.string(), name: z.string(), place: z.string() });
const Plan = z.looseObject({ mode: z.string(), steps: z.array(z.unknown()) });
const End = z.looseObject({
  name: z.string(),
  status: z.string(),
  contract_id: z.string().nullable(),
  error: z.string().optional(),
  get steps() {
    return z.array(End).optional();
  },
});
const Ended = z.looseObject({ steps: z.array(End) });

/** The lines of each task, in the order in which the tasks began. */
export function treesOf(halves: readonly ContractHalf[], colours: Colours): string[][] {
  const tasks = new Map<string, ContractHalf[]>();
  for (const half of halves) {
    if (half.contract_type !== 'REQUEST') continue;
    const task = half.task_id ?? half.contract_id;
    tasks.set(task, [...(tasks.get(task) ?? []), half]);
  }
  const asked = new Map(halves.flatMap((half) => (half.in_reply_to === null ? [] : [[half.contract_id, half.in_reply_to] as const])));
  const drawing = new Drawing(colours, asked);
  return [...tasks].map(([task, requests]) => [`task ${printable(task)}`, ...drawn(drawing.roots(requests), '')]);
}

function drawn(nodes: readonly Node[], indent: string): string[] {
  return nodes.flatMap(({ text, below }, i) => {
    const last = i === nodes.length - 1;
    return [`${indent}${last ? '└─' : '├─'} ${text}`, ...drawn(below, `${indent}${last ? '   ' : '│  '}`)];
  });
}

class Drawing {
  constructor(
    private readonly colours: Colours,
    /** The REQUEST of each RESPONSE. */
    private readonly asked: ReadonlyMap<string, string>,
  ) {}

  roots(requests: readonly ContractHalf[]): Node[] {
    const nodeOf = (request: ContractHalf): Node => ({ place: stepOf(request)?.place ?? '', text: this.line(request), below: [] });
    const nodes = new Map(requests.map((request) => [request.contract_id, nodeOf(request)]));
    const roots: Node[] = [];
    for (const request of requests) {
      const cause = this.asked.get(request.cause ?? '') ?? request.cause ?? '';
      const parent = nodes.get(stepOf(request)?.plan ?? cause) ?? nodes.get(cause);
      (parent?.below ?? roots).push(nodes.get(request.contract_id)!);
    }
    for (const request of requests) {
      const { below } = nodes.get(request.contract_id)!;
      below.push(...this.unasked(endsOf(request), ''));
      below.sort((a, b) => a.place.localeCompare(b.place, 'en', { numeric: true }));
    }
    return roots;
  }

  private line(request: ContractHalf): string {
    const { contract_id, to_agent, capability, metadata, status, created_at, completed_at, error_code, error } = request;
    const { green, red, yellow, cyan, dim } = this.colours;
    const plan = Plan.safeParse(metadata['plan']).data;
    const step = stepOf(request);
    const wanted = (metadata['asked'] as { capability?: unknown } | undefined)?.capability;
    const what = plan ? `plan of ${plan.steps.length}, ${plan.mode}` : `${capability ?? String(wanted ?? '-')} by ${to_agent ?? 'nobody'}`;
    const colour = { completed: green, failed: red, cancelled: yellow, pending: cyan }[status ?? ''] ?? dim;
    const parts = [
      printable(step ? `${step.place} ${step.name}: ${what}` : what),
      colour(printable(status ?? '')),
      between(created_at, completed_at),
      red(printable([error_code, error].filter(Boolean).join(': '))),
      dim(printable(contract_id)),
    ];
    return parts.filter(Boolean).join('  ');
  }

  /** Steps no agent was asked for: they stand in the plan's RESPONSE alone. */
  private unasked(ends: readonly z.output<typeof End>[], place: string): Node[] {
    return ends.flatMap(({ name, status, contract_id, error, steps }, i) => {
      const own = `${place}${i + 1}`;
      if (steps) return this.unasked(steps, `${own}.`);
      if (contract_id !== null) return [];
      return [{ place: own, text: this.colours.dim(printable(`${own} ${name}: ${status.replace('_', ' ')}, ${error ?? ''}`)), below: [] }];
    });
  }
}

const stepOf = ({ metadata }: ContractHalf) => Step.safeParse(metadata['step']).data;

const endsOf = ({ metadata, result }: ContractHalf) => (metadata['plan'] === undefined ? [] : (Ended.safeParse(result).data?.steps ?? []));
