// Text of the socket into a frame, or null if it is not one. Only the envelope is checked: the objects inside are the
// server's own generated types.

import type { Frame } from '../api/types';

export function parseFrame(text: unknown): Frame | null {
  if (typeof text !== 'string') return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const frame = value as Record<string, unknown>;
  if (typeof frame.rev !== 'number') return null;
  switch (frame.type) {
    case 'snapshot':
    case 'devices':
      return Array.isArray(frame.devices) ? (value as Frame) : null;
    case 'removed':
      return Array.isArray(frame.ids) ? (value as Frame) : null;
    case 'alive':
      return value as Frame;
    default:
      return null;
  }
}
