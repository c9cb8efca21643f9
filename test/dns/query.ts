import { emptyMessage, type Message } from '../../src/dns/message.ts';

/** A question as a program's resolver sends it, with what the test wants otherwise. */
export function queryMessage(changes: Partial<Message>): Message {
  return { ...emptyMessage, id: 1, recursionDesired: true, ...changes };
}
