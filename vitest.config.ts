import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// "fast" needs no root and no real parts; "kernel" makes network namespaces; "lxc" starts containers in them; "dbus"
// adds a bus; "debian" boots whole LXC hosts. Each file has namespaces and folders of its own, so two run side by side: they
// wait for the kernel half of the time. A third on two processors gains a sixth, and makes it likelier that one waits too long.
export default defineConfig({
  test: {
    maxWorkers: Math.min(Math.max(availableParallelism(), 2), 4),
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/{render,policies,watchers,controller,cases,docs,fuzz}/**/*.test.ts'],
          // Reading the sources anew for each file is a third of its processor time.
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
          include: ['test/kernel/**/*.test.ts'],
          globalSetup: 'test/build-program.ts',
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'lxc',
          include: ['test/lxc/**/*.test.ts'],
          globalSetup: 'test/build-program.ts',
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'attack',
          include: ['test/attack/**/*.test.ts'],
          globalSetup: 'test/build-program.ts',
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'dbus',
          include: ['test/dbus/**/*.test.ts'],
          globalSetup: 'test/build-program.ts',
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'debian',
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
