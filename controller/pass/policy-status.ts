/** How it is about a container's policy, as the status, lists and metrics tell it. */

/** `open`: no policy file, and `withoutPolicy: open`. `closed`: no policy file, or a broken one that was never good. */
export const POLICY_STATUSES = ['ok', 'last-good', 'closed', 'open'] as const;

export type PolicyStatus = (typeof POLICY_STATUSES)[number];
