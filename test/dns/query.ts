import type { Message } from '../../src/dns/message.ts';

/** A question as a program's resolver sends it, with what the test wants otherwise. */
export function queryMessage(changes: Partial<Message>): Message {
  return {
    id: 1,
    response: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    questions: [],
    answer: [],
    authority: [],
    additional: [],
    ...changes,
  };
}
