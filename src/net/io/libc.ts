import { constants } from 'node:os';
import { getSystemErrorMessage } from 'node:util';
import koffi from 'koffi';
import { addressOf, formatEndpoint, type Endpoint } from '../address.ts';
import { encoded } from '../../wire/writer.ts';

/** What {@link openUdpSocket} opens. */
export interface UdpSocketOptions {
  /** Where to bind; port 0 takes a free one. An IPv6 socket never takes IPv4 (IPV6_V6ONLY). */
  readonly local: Endpoint;
  /** Interface index, for a link-local IPv6 address. */
  readonly scopeId?: number;
  /**
   * Packets of this socket pass beside every IPsec policy, in and out (IP_XFRM_POLICY): IKE must not wait for
   * what it negotiates (RFC 4301 §5: "IKE traffic … must bypass"). Wants CAP_NET_ADMIN.
   */
  readonly bypassIpsec: boolean;
  /** The kernel takes ESP in UDP off this socket and leaves the rest to us (RFC 3948): for port 4500. */
  readonly espInUdp: boolean;
}

/** An open, bound UDP socket. */
export interface UdpSocket {
  /** Non-blocking, close-on-exec; give it to `dgram`'s `socket.bind({ fd })`, which then owns it. */
  readonly fd: number;
  readonly local: Endpoint;
}

/**
 * A UDP socket with the options that `dgram` cannot set, bound, without SO_REUSEADDR (a second daemon on the
 * port must be refused). Throws {@link SystemCallError}; nothing stays open then.
 */
export function openUdpSocket(options: UdpSocketOptions): UdpSocket {
  const { local } = options;
  const v4 = local.address.family === 4;
  const about = formatEndpoint(local);
  const fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0, `UDP ${about}`);
  try {
    if (!v4) setIntOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, 'IPV6_V6ONLY');
    if (options.bypassIpsec) {
      for (const direction of [XFRM_POLICY_IN, XFRM_POLICY_OUT]) {
        const policy = bypassPolicy(v4 ? AF_INET : AF_INET6, direction);
        if (v4) setOption(fd, IPPROTO_IP, IP_XFRM_POLICY, policy, 'IP_XFRM_POLICY');
        else setOption(fd, IPPROTO_IPV6, IPV6_XFRM_POLICY, policy, 'IPV6_XFRM_POLICY');
      }
    }
    if (options.espInUdp) setIntOption(fd, IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP, 'UDP_ENCAP');
    bind(fd, encodeSockaddr(local, options.scopeId ?? 0), about);
    return { fd, local: socketName(fd) };
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Where an IPv4 or IPv6 socket is bound. */
export function socketName(fd: number): Endpoint {
  const name = new Uint8Array(SOCKADDR_IN6_OCTETS);
  const length = new Uint32Array([name.length]);
  checked('getsockname', callGetsockname(fd, name, length), '');
  return decodeSockaddr(name);
}

/** A new socket, close-on-exec and non-blocking. */
export function socket(family: number, type: number, protocol: number, about: string): number {
  return checked('socket', callSocket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol), about);
}

export function bind(fd: number, sockaddr: Uint8Array, about: string): void {
  checked('bind', callBind(fd, sockaddr, sockaddr.length), about);
}

/** Sets an option whose value is an int. */
export function setIntOption(fd: number, level: number, option: number, value: number, about: string): void {
  setOption(fd, level, option, new Uint8Array(new Int32Array([value]).buffer), about);
}

export function setOption(fd: number, level: number, option: number, value: Uint8Array, about: string): void {
  checked('setsockopt', callSetsockopt(fd, level, option, value, value.length), about);
}

/** Sends all of `octets` to the socket's peer; for a netlink socket the kernel, which has answered on return. */
export function send(fd: number, octets: Uint8Array, about: string): void {
  checked('send', Number(callSend(fd, octets, octets.length, 0)), about);
}

/**
 * The next datagram that is there already, as long as it was even where `buffer` is shorter (MSG_TRUNC);
 * undefined where none is.
 */
export function receive(fd: number, buffer: Uint8Array, about: string): number | undefined {
  const length = Number(callRecv(fd, buffer, buffer.length, MSG_DONTWAIT | MSG_TRUNC));
  if (length < 0 && koffi.errno() === constants.errno.EAGAIN) return undefined;
  return checked('recv', length, about);
}

export function close(fd: number): void {
  checked('close', callClose(fd), `fd ${fd}`);
}

/** A system call that failed; `code` is the errno's name, e.g. `EADDRINUSE`. */
export class SystemCallError extends Error {
  readonly syscall: string;
  readonly code: string;
  readonly errno: number;

  constructor(syscall: string, errno: number, about: string) {
    super(`${syscall}${about && ` ${about}`}: ${errnoText(errno)}`);
    this.name = 'SystemCallError';
    this.syscall = syscall;
    this.code = errnoName(errno);
    this.errno = errno;
  }
}

/** `no such file or directory (ENOENT)` for 2. */
export function errnoText(errno: number): string {
  return `${getSystemErrorMessage(-errno)} (${errnoName(errno)})`;
}

/** `ENOENT` for 2; `errno 4711` for a number without a name. */
export function errnoName(errno: number): string {
  return errnoNames.get(errno) ?? `errno ${errno}`;
}

const errnoNames = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

function checked(syscall: string, result: number, about: string): number {
  if (result < 0) throw new SystemCallError(syscall, koffi.errno(), about);
  return result;
}

/** struct xfrm_userpolicy_info (linux/xfrm.h) that allows all of a family: zeros but for family, direction, action. */
function bypassPolicy(family: number, direction: number): Uint8Array {
  const policy = new Uint8Array(168);
  const view = new DataView(policy.buffer);
  view.setUint16(40, family, true); // sel.family
  view.setUint8(160, direction); // dir; action 0 is XFRM_POLICY_ALLOW
  return policy;
}

/** struct sockaddr_in or sockaddr_in6. */
function encodeSockaddr(endpoint: Endpoint, scopeId: number): Uint8Array {
  return encoded((w) => {
    w.u16le(endpoint.address.family === 4 ? AF_INET : AF_INET6);
    w.u16(endpoint.port);
    if (endpoint.address.family === 6) w.u32(0); // flow label
    w.octets(endpoint.address.octets);
    if (endpoint.address.family === 6) w.u32le(scopeId);
    else w.zeros(8);
  }, SOCKADDR_IN6_OCTETS);
}

function decodeSockaddr(name: Uint8Array): Endpoint {
  const view = new DataView(name.buffer, name.byteOffset, name.length);
  const family = view.getUint16(0, true);
  const octets = family === AF_INET ? name.subarray(4, 8) : name.subarray(8, 24);
  const address = addressOf(octets);
  if (!address) throw new RangeError(`a socket of family ${family} has no IP address`);
  return { address, port: view.getUint16(2) };
}

export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const IPPROTO_IP = 0;
const IPPROTO_UDP = 17;
const IPPROTO_IPV6 = 41;
const IP_XFRM_POLICY = 17;
const IPV6_V6ONLY = 26;
const IPV6_XFRM_POLICY = 35;
const UDP_ENCAP = 100;
const UDP_ENCAP_ESPINUDP = 2;
const XFRM_POLICY_IN = 0;
const XFRM_POLICY_OUT = 1;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const SOCKADDR_IN6_OCTETS = 28;

type Call = (...values: unknown[]) => number;

/** The symbols of the running process, so that glibc and musl both do. */
const libc = koffi.load(null);

function c(name: string, result: string, ...types: string[]): Call {
  return libc.func(name, result, types) as unknown as Call;
}

const callSocket = c('socket', 'int', 'int', 'int', 'int');
const callBind = c('bind', 'int', 'int', 'void *', 'uint32_t');
const callSetsockopt = c('setsockopt', 'int', 'int', 'int', 'int', 'void *', 'uint32_t');
const callGetsockname = c('getsockname', 'int', 'int', 'void *', 'void *');
const callSend = c('send', 'intptr_t', 'int', 'void *', 'size_t', 'int');
const callRecv = c('recv', 'intptr_t', 'int', 'void *', 'size_t', 'int');
const callClose = c('close', 'int', 'int');
