/** `node delay.ts FROM TO MS`: a relay of UDP from one port of loopback to another that takes MS for the way back. */
import { createSocket } from 'node:dgram';

const [from = 0, to = 0, delayMs = 0] = process.argv.slice(2).map(Number);
const front = createSocket('udp4');
front.on('message', (query, client) => {
  const back = createSocket('udp4');
  back.on('message', (answer) => {
    back.close();
    setTimeout(() => {
      front.send(answer, client.port, client.address);
    }, delayMs);
  });
  back.send(query, to, '127.0.0.1');
});
front.bind(from, '127.0.0.1');
