import { describe, expect, it } from '@jest/globals';
import { clusterFooter, withoutFooter } from '../../../src/postgres/dump/globals.ts';

const cut = (text: string) => Buffer.from(withoutFooter(Buffer.from(text))).toString();

describe('globals without their footer', () => {
  it('keep the end of their fence, wherever it stands', () => {
    expect(cut(`CREATE ROLE a;\n\n\\unrestrict k3y\n\n${clusterFooter}`)).toBe(
      'CREATE ROLE a;\n\n\\unrestrict k3y\n\n',
    );
    expect(cut(`CREATE ROLE a;\n\n${clusterFooter}\\unrestrict k3y\n\n`)).toBe(
      'CREATE ROLE a;\n\n\\unrestrict k3y\n\n',
    );
    expect(cut(`CREATE ROLE a;\n\n${clusterFooter}`)).toBe('CREATE ROLE a;\n\n');
  });

  it('lose the last footer only: a comment may hold its text', () => {
    const comment = `COMMENT ON ROLE a IS '\n${clusterFooter}';\n`;
    expect(cut(`${comment}\n${clusterFooter}`)).toBe(`${comment}\n`);
  });

  it.each([
    ['are cut off', 'CREATE ROLE a;\n'],
    ['are empty', ''],
    ['have the footer in a comment alone', `COMMENT ON ROLE a IS '\n${clusterFooter}';\n`],
  ])('are refused where they %s', (_, text) => {
    expect(() => withoutFooter(Buffer.from(text))).toThrow(expect.objectContaining({ type: 'ToolFailed' }));
  });
});
