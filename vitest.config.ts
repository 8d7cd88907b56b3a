import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const WORKERS = Math.min(Math.max(availableParallelism(), 2), 4);

// "fast" needs no root and no real parts; "kernel" makes network namespaces; "lxc" starts containers in them; "dbus"
// adds a bus; "debian" boots whole LXC hosts. Each file has namespaces and folders of its own, so some run side by side. Most share
// what they read of the sources: to read it anew for each file takes a third of the fast ones' processor time, and half a second of others'.
export default defineConfig({
  test: {
    maxWorkers: WORKERS,
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/{render,policies,watchers,controller,cases,docs,fuzz}/**/*.test.ts'],
          isolate: false,
          // Property tests take seconds on a machine that has other things to do.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'package',
          include: ['test/packaging/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'kernel',
          isolate: false,
          include: ['test/kernel/**/*.test.ts'],
          globalSetup: 'test/build-program.ts',
          // Some run hundreds of commands, each of which takes five times as long on one machine as on another.
          testTimeout: 180_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'lxc',
          isolate: false,
          // They wait for time and for each other more than they work; others count what a busy machine would lose.
          maxWorkers: WORKERS + 1,
          sequence: { groupOrder: 1 },
          include: ['test/lxc/**/*.test.ts'],
          globalSetup: 'test/build-program.ts',
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'attack',
          // By itself: beside its chaos, the pings of others are lost in the kernel, whatever their rules.
          sequence: { groupOrder: 2 },
          include: ['test/attack/**/*.test.ts'],
          globalSetup: 'test/build-program.ts',
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'dbus',
          isolate: false,
          include: ['test/dbus/**/*.test.ts'],
          globalSetup: 'test/build-program.ts',
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'debian',
          isolate: false,
          include: ['test/debian/**/*.test.ts'],
          globalSetup: ['test/build-program.ts', 'test/build-package.ts', 'test/build-debian.ts'],
          // The first ones may wait for their root folder.
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
