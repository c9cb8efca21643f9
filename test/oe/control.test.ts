import { existsSync, lstatSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { openControl } from '../../src/oe/io/control.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

test('THREATS A.25: a symbolic link or a file in the place of the socket is neither followed nor replaced', async () => {
  const path = join(scratch(), 'oe.sock');
  const elsewhere = join(scratch(), 'target');
  symlinkSync(elsewhere, path);
  await expect(openControl(path, () => ({}))).rejects.toMatchObject({ code: 'control-socket-occupied' });
  expect(existsSync(elsewhere)).toBe(false);
  expect(lstatSync(path).isSymbolicLink()).toBe(true);
  rmSync(path);
  writeFileSync(path, 'somebody’s');
  await expect(openControl(path, () => ({}))).rejects.toMatchObject({ code: 'control-socket-occupied' });
});

test('THREATS A.25: a request of great length is refused, and the next one is answered', async () => {
  const path = await control();
  expect((await get(path, `/v1/status?${'x'.repeat(10_000)}`)).status).toBe(431);
  expect(await get(path, '/v1/status')).toMatchObject({ status: 200, text: '{"fine":true}\n' });
});

test('THREATS A.25: a body without end is not taken in', async () => {
  const path = await control();
  const socket = connect(path);
  cleanups.push(() => socket.destroy());
  let isClosed = false;
  socket.resume();
  socket.on('close', () => (isClosed = true));
  socket.on('error', () => undefined);
  socket.write('POST /v1/status HTTP/1.1\r\nhost: oe\r\ncontent-length: 1000000000000\r\n\r\n');
  const more = setInterval(() => socket.destroyed || socket.write('x'.repeat(100_000)), 5);
  cleanups.push(() => {
    clearInterval(more);
  });
  await expect.poll(() => isClosed, { timeout: 4_000 }).toBe(true);
  expect((await get(path, '/v1/status')).status).toBe(200);
});

test('what changes something takes POST, and everything else GET', async () => {
  const path = await control();
  expect(await get(path, '/v1/flush', 'POST')).toMatchObject({ status: 200, text: '{"entries":3}\n' });
  expect(await get(path, '/v1/flush')).toMatchObject({ status: 405 });
  expect(await get(path, '/v1/status', 'POST')).toMatchObject({ status: 405 });
});

async function control(): Promise<string> {
  const path = join(scratch(), 'oe.sock');
  const opened = await openControl(path, () => ({
    '/v1/status': () => ({ ok: true, body: { fine: true } }),
    'POST /v1/flush': () => ({ ok: true, body: { entries: 3 } }),
  }));
  cleanups.push(() => opened.close());
  return path;
}

function scratch(): string {
  const path = mkdtempSync(join(tmpdir(), 'oe-control-'));
  cleanups.push(() => {
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

function get(socketPath: string, path: string, method = 'GET'): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, method }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text });
      });
    });
    call.on('error', reject);
    call.end();
  });
}
