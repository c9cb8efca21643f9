import { describe, expect, test } from 'vitest';
import { reaches, stage, type Stage } from './collision.ts';
import type { Node } from './pair.ts';

/** Both ends at the same IKE SA at once, or at it and at a child of it (RFC 7296 §2.8.2, §2.25.2). */

describe('both rekey the IKE SA', () => {
  test.each([
    ['Ni1', 'a'],
    ['Nr2', 'a'],
    ['Ni2', 'b'],
    ['Nr1', 'b'],
  ] as const)('the lowest nonce is %s: what %s asked for is deleted, the other inherits', (lowest, loser) => {
    const s = stage();
    const { a, b, rekeyIke, arrives } = s;
    const child = a.children[0];
    // req1: CREATE_CHILD_SA { SA(IKE), Ni1, KEi } -->
    drawing(a, lowest === 'Ni1', () => {
      rekeyIke(a);
    });
    //      <-- req2: CREATE_CHILD_SA { SA(IKE), Ni2, KEi }
    drawing(b, lowest === 'Ni2', () => {
      rekeyIke(b);
    });
    // resp2: { SA, Nr1, KEr } -->
    drawing(a, lowest === 'Nr1', () => {
      arrives(b, 'CREATE_CHILD_SA request');
    });
    //      <-- resp1: { SA, Nr2, KEr }
    drawing(b, lowest === 'Nr2', () => {
      arrives(a, 'CREATE_CHILD_SA request');
    });
    arrives(a, 'CREATE_CHILD_SA response');
    arrives(b, 'CREATE_CHILD_SA response');
    const [winner, loses] = loser === 'a' ? [b, a] : [a, b];
    expect(loses.story.some((t) => t.includes('ours has the lowest nonce and goes'))).toBe(true);
    expect(winner.story.some((t) => t.includes('ours stays'))).toBe(true);
    // The loser deletes the new IKE SA that it asked for, the winner the old one: INFORMATIONAL { D(IKE) } each.
    arrives(loses, 'INFORMATIONAL request');
    arrives(winner, 'INFORMATIONAL request');
    arrives(a, 'INFORMATIONAL response');
    arrives(b, 'INFORMATIONAL response');
    expect(s.world.wire).toEqual([]);
    expectTraffic(s);
    s.ends();
    expect(a.children).toEqual([child]);
    expectUsable(s);
  });

  test('b is through before it hears of it: a gets the delete of the old one and forgets its own wish', () => {
    const s = stage();
    const { a, b, rekeyIke, arrives, loses } = s;
    // req1: CREATE_CHILD_SA { SA(IKE), Ni1, KEi } --> (lost)
    rekeyIke(a);
    const req1 = loses(a, 'CREATE_CHILD_SA request');
    //      <-- req2; resp2 -->
    rekeyIke(b);
    arrives(b, 'CREATE_CHILD_SA request');
    arrives(a, 'CREATE_CHILD_SA response');
    //      <-- req3: INFORMATIONAL { D(IKE) } is on its way, and req1 arrives: TEMPORARY_FAILURE
    const again = req1;
    s.world.deliver(again);
    // resp3: { } -->
    arrives(b, 'INFORMATIONAL request');
    arrives(a, 'INFORMATIONAL response');
    // That resp1 comes too late for anything.
    arrives(b, 'CREATE_CHILD_SA response');
    expect(s.world.wire).toEqual([]);
    s.ends();
    expect(a.children).toHaveLength(1);
    expectUsable(s);
  });

  test('TEMPORARY_FAILURE comes first: what the other asked for inherits', () => {
    const s = stage();
    const { a, b, rekeyIke, arrives } = s;
    rekeyIke(a);
    rekeyIke(b);
    const [req1] = s.world.wire.splice(0, 1);
    arrives(b, 'CREATE_CHILD_SA request');
    arrives(a, 'CREATE_CHILD_SA response');
    if (req1) s.world.deliver(req1);
    const [req3] = s.world.wire.splice(0, 1);
    arrives(b, 'CREATE_CHILD_SA response');
    expect(a.story.some((t) => t.includes('TEMPORARY_FAILURE'))).toBe(false);
    if (req3) s.world.deliver(req3);
    s.ends();
    expect(a.children).toHaveLength(1);
    expectUsable(s);
  });

  test('the winner goes on in the new IKE SA before the other knows which it is', () => {
    const s = stage();
    const { a, b, rekeyIke, rekeyChild, arrives, loses } = s;
    drawing(a, false, () => {
      rekeyIke(a);
    });
    drawing(b, true, () => {
      rekeyIke(b);
    });
    arrives(b, 'CREATE_CHILD_SA request');
    arrives(a, 'CREATE_CHILD_SA request');
    // resp1 arrives: a has won. resp2 is lost.
    loses(a, 'CREATE_CHILD_SA response');
    arrives(b, 'CREATE_CHILD_SA response');
    // a rekeys the child in the new IKE SA, which b has only as a candidate.
    rekeyChild(a);
    s.world.settle();
    s.ends();
    expect([a.children.length, b.children.length]).toEqual([1, 1]);
    expectUsable(s);
  });
});

describe('one rekeys the IKE SA', () => {
  test('while the other rekeys the child: both say TEMPORARY_FAILURE and try later', () => {
    const s = stage();
    const { a, b, rekeyIke, rekeyChild, arrives } = s;
    const old = a.children[0];
    // CREATE_CHILD_SA { SA(IKE), … } -->      <-- CREATE_CHILD_SA { N(REKEY_SA), … }
    rekeyIke(a);
    rekeyChild(b);
    // { N(TEMPORARY_FAILURE) } -->      <-- { N(TEMPORARY_FAILURE) }
    arrives(b, 'CREATE_CHILD_SA request');
    arrives(a, 'CREATE_CHILD_SA request');
    arrives(a, 'CREATE_CHILD_SA response');
    arrives(b, 'CREATE_CHILD_SA response');
    for (const node of [a, b]) expect(node.story.some((t) => t.includes('TEMPORARY_FAILURE'))).toBe(true);
    expect(s.world.wire).toEqual([]);
    s.ends();
    expect(a.children).toHaveLength(1);
    expect(a.children[0]?.id).not.toBe(old?.id);
    expect(a.story.some((t) => t.startsWith('IKE SA rekeyed'))).toBe(true);
  });

  test('while the other deletes the child: the delete is answered as usual, the rekey waits', () => {
    const s = stage();
    const { a, b, rekeyIke, deleteChild, arrives } = s;
    // CREATE_CHILD_SA { SA(IKE), … } -->      <-- INFORMATIONAL { D(child) }
    rekeyIke(a);
    deleteChild(b);
    // { D(child) } -->
    arrives(b, 'INFORMATIONAL request');
    expect(a.kernel.size).toBe(0);
    //      <-- { N(TEMPORARY_FAILURE) }: b waits for the answer to its delete
    arrives(a, 'CREATE_CHILD_SA request');
    arrives(b, 'CREATE_CHILD_SA response');
    expect(a.story.some((t) => t.includes('TEMPORARY_FAILURE'))).toBe(true);
    arrives(a, 'INFORMATIONAL response');
    s.ends();
  });

  test('while the other wants a new child: that one comes first, at its second try', () => {
    const s = stage();
    const { a, b, rekeyIke, deleteChild, arrives } = s;
    deleteChild(b);
    s.world.settle();
    const key = b.keysOf(a.address);
    // CREATE_CHILD_SA { SA(IKE), … } -->      <-- CREATE_CHILD_SA { SA, Ni, … }
    rekeyIke(a);
    const attempt = b.initiate(a, key);
    arrives(b, 'CREATE_CHILD_SA request');
    arrives(a, 'CREATE_CHILD_SA request');
    arrives(a, 'CREATE_CHILD_SA response');
    arrives(b, 'CREATE_CHILD_SA response');
    expect(b.failed).toEqual([]);
    // Whoever waits for the child need not wait for the rekey.
    s.world.pass(1_000);
    expect(b.established.at(-1)).toMatchObject({ attempt });
    s.ends();
  });

  test('while the other deletes it: answered as usual, and nothing is left', () => {
    const s = stage();
    const { a, b, rekeyIke, deleteIke, arrives } = s;
    // CREATE_CHILD_SA { SA(IKE), … } -->      <-- INFORMATIONAL { D(IKE) }
    rekeyIke(a);
    deleteIke(b);
    //      <-- { N(TEMPORARY_FAILURE) }
    arrives(a, 'CREATE_CHILD_SA request');
    // { } -->: a forgets its own wish
    arrives(b, 'INFORMATIONAL request');
    arrives(a, 'INFORMATIONAL response');
    arrives(b, 'CREATE_CHILD_SA response');
    expect([a.kernel.size, b.kernel.size]).toEqual([0, 0]);
    expect(s.world.wire).toEqual([]);
    s.ends();
    expect([a.endpoint.counts.sessions, b.endpoint.counts.sessions]).toEqual([0, 0]);
  });
});

test('both delete the IKE SA at once: each answers, and nothing is left', () => {
  const s = stage();
  const { a, b, deleteIke, arrives } = s;
  // INFORMATIONAL { D(IKE) } -->      <-- INFORMATIONAL { D(IKE) }
  deleteIke(a);
  deleteIke(b);
  arrives(a, 'INFORMATIONAL request');
  arrives(b, 'INFORMATIONAL request');
  arrives(a, 'INFORMATIONAL response');
  arrives(b, 'INFORMATIONAL response');
  expect(s.world.wire).toEqual([]);
  expect([a.kernel.size, b.kernel.size]).toEqual([0, 0]);
  s.ends();
  expect([a.endpoint.counts.sessions, b.endpoint.counts.sessions]).toEqual([0, 0]);
});

function drawing(node: Node, low: boolean, step: () => void): void {
  node.nonces = low ? 'low' : 'high';
  step();
  node.nonces = 'high';
}

function expectTraffic({ a, b }: Stage): void {
  expect([reaches(a, b), reaches(b, a)]).toEqual([true, true]);
}

/** The IKE SA that is left does what one does, in both directions. */
function expectUsable({ world, a, b, rekeyChild, ends }: Stage): void {
  for (const node of [a, b]) {
    const before = a.children[0]?.id;
    rekeyChild(node);
    world.settle();
    ends();
    expect(a.children).toHaveLength(1);
    expect(a.children[0]?.id).not.toBe(before);
  }
}
