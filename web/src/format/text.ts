// Texts of others, as they can be shown. They are set as text always; this is about characters that hide or turn things.

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Makes characters visible that would be unseen, or change the direction of what stands behind them. Line breaks and tabs stay. */
export function visible(text: string): string {
  return text.replace(HIDDEN, (c) => {
    const code = c.charCodeAt(0);
    // Unicode has pictures of the old control characters.
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    if (code === 0x7f) return '\u2421';
    return `[U+${code.toString(16).toUpperCase().padStart(4, '0')}]`;
  });
}

/** Whether a text is so long that its box scrolls: then the keyboard must reach it. */
export const scrolls = (text: string): 0 | undefined => (text.length > 400 || text.split('\n', 9).length > 8 ? 0 : undefined);

/** The same in one line. */
export const oneLine = (text: string): string => visible(text).replace(/\s+/g, ' ').trim();
