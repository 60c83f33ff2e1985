import { describe, expect, it } from 'vitest';
import type { AlertView } from '../api/types';
import { newOnes } from './notify';

const alert = (no: number) => ({ no }) as AlertView;

describe('desktop notifications', () => {
  it('tell only what was not there when the page was opened', () => {
    expect(newOnes(null, [alert(1), alert(2)])).toEqual([]);
    expect(newOnes(new Set([1]), [alert(1), alert(2)])).toEqual([alert(2)]);
    expect(newOnes(new Set(), [alert(3)])).toEqual([alert(3)]);
  });
});
