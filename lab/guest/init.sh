#!/bin/sh
# The first process of the lab's kernel: makes the usual mounts, loads what IPsec needs, runs /lab/kernel/command
# and switches off. What the command prints goes to the console between the two lines that the host waits for.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM=dumb
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
for d in /dev/shm /run /tmp /var/tmp; do mount -t tmpfs tmpfs $d; done
mkdir -p /run/lock /run/netns
ln -sfn /proc/self/fd /dev/fd
hostname lab
ip link set lo up
modprobe -a $(echo "$MODULES" | tr , ' ') 2>/lab/kernel/modprobe.log
echo 0 >/proc/sys/kernel/printk
# A fork of a process that uses io_uring (Node does) corrupts this kernel's memory.
echo 2 >/proc/sys/kernel/io_uring_disabled
ulimit -n 65536
echo '#lab begin'
sh /lab/kernel/command
echo $? >/lab/kernel/exit-code
echo '#lab end'
sync
echo o >/proc/sysrq-trigger
sleep 10
