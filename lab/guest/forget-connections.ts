/** Has the kernel of this network namespace forget every tracked connection, and with them what it translates. */
import { NetlinkSocket } from '../../src/kernel/io/netlink-socket.ts';

/** NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE (linux/netfilter/nfnetlink_conntrack.h). */
const CT_DELETE = (1 << 8) | 2;
const NETLINK_NETFILTER = 12;

const socket = new NetlinkSocket(NETLINK_NETFILTER, 'NETLINK_NETFILTER');
const reply = socket.request(CT_DELETE, 0, (w) => {
  w.zeros(4); // struct nfgenmsg: of every family
});
socket.close();
if (!reply.ok) throw new Error(`the connections are not forgotten: ${reply.code} ${reply.text ?? ''}`);
