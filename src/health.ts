/**
 * One thing that people should know of how well the agent is: `good` is as it should be, `notice` is worth knowing,
 * `warning` wants something done about it.
 */
export interface HealthNote {
  readonly level: 'good' | 'notice' | 'warning';
  /** One or two short sentences; of a warning, what to do is the last of them. */
  readonly sentence: string;
}
