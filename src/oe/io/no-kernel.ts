import { KernelError, type Availability, type KernelPort } from '../../kernel/port.ts';

/** Stands in where the kernel has no IPsec at all. It takes no state and no block, so that nobody relies on them. */
export function noKernel(why: string): KernelPort {
  const missing: Availability = {
    available: false,
    why,
    remedy: 'Load the module xfrm_user, or run a kernel that has it.',
  };
  const refuse = (): Promise<never> => Promise.reject(new KernelError('EPROTONOSUPPORT', why));
  return {
    allocateSpi: refuse,
    apply: (ops) => {
      const isNeeded = ops.some(
        (op) => op.op === 'addState' || (op.op === 'addPolicy' && op.policy.action === 'block'),
      );
      return isNeeded ? refuse() : Promise.resolve();
    },
    query: (states) => Promise.resolve(states.map(() => undefined)),
    snapshot: () => Promise.resolve({ states: [], policies: [] }),
    events: () => () => undefined,
    capabilities: () =>
      Promise.resolve({ esp4: missing, esp6: missing, suites: [], directions: false, keepalives: false }),
    close: () => undefined,
  };
}
