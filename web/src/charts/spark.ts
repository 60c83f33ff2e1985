/** The path of a sparkline, oldest value left. The newest stands at the right edge; a null breaks the line. Pure. */
export function sparkPath(values: readonly (number | null)[], size: number, width: number, height: number): string {
  const top = Math.max(1, ...values.map((value) => value ?? 0));
  const from = size - values.length;
  let path = '';
  let drawing = false;
  let alone = '';
  values.forEach((value, i) => {
    if (value === null) {
      path += alone;
      alone = '';
      drawing = false;
      return;
    }
    const x = (((from + i) / (size - 1)) * (width - 1) + 0.5).toFixed(1);
    const y = (height - 1 - (value / top) * (height - 2)).toFixed(1);
    path += `${drawing ? 'L' : 'M'}${x} ${y}`;
    // A point between two gaps would be invisible: give it a length.
    alone = drawing ? '' : 'h.8';
    drawing = true;
  });
  return path + alone;
}
