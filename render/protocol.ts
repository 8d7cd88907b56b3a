/** How the kernel's routing objects say whose they are. */

/** Marks what is ours (`/etc/iproute2/rt_protos.d/routewall.conf` names it). */
export const PROTOCOL = 119;

/**
 * Worse than any route that someone else may have to the same address, so that ours neither replaces nor outdoes it
 * (`replace` without a metric would take over a foreign route of the same prefix).
 */
export const METRIC = 4096;
