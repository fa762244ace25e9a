import { describe, expect, it } from '@jest/globals';
import { chooseEntries, parseList, renderList, withPartitions } from '../../../src/postgres/archive/list.ts';

/** As pg_restore -l prints them: 15, 17 and 18 together. */
const list = `;
; Archive created at 2026-11-21 02:00:00 UTC
;     dbname: app
;     TOC Entries: 40
;
; Selected TOC Entries:
;
6; 2615 16386 SCHEMA - odd "schema postgres
2; 3079 16387 EXTENSION - pgcrypto 
3500; 0 0 COMMENT - EXTENSION pgcrypto 
217; 1259 16430 TABLE public big owner_of_app
3501; 0 0 ACL public TABLE big owner_of_app
3502; 0 0 COMMENT public CONSTRAINT big_fkey ON big owner_of_app
3503; 0 0 COMMENT public TRIGGER guards ON big owner_of_app
3504; 0 0 COMMENT public TABLE big owner_of_app
218; 1259 16435 TABLE odd "schema odd 'table postgres
219; 1259 16440 SEQUENCE public counted_id_seq postgres
3505; 0 0 SEQUENCE OWNED BY public counted_id_seq postgres
220; 1259 16450 TABLE public parted postgres
221; 1259 16451 TABLE ATTACH public parted_low postgres
222; 1255 16460 FUNCTION public touched() postgres
223; 1259 16470 MATERIALIZED VIEW public mat postgres
3506; 2613 4711 BLOB - 4711 postgres
3507; 2613 4711 BLOB METADATA - 4711 postgres
3508; 0 0 ACL - LARGE OBJECT 4711 postgres
3400; 0 16430 TABLE DATA public big owner_of_app
3401; 0 16435 TABLE DATA odd "schema odd 'table postgres
3402; 0 16451 TABLE DATA public parted_low postgres
3403; 0 16452 TABLE DATA public two words postgres
3404; 0 16453 TABLE DATA public two postgres
3405; 0 0 BLOBS - BLOBS 
3509; 0 0 SEQUENCE SET public counted_id_seq postgres
3300; 2606 16480 CONSTRAINT public big big_pkey owner_of_app
3301; 2606 16481 FK CONSTRAINT public big big_fkey owner_of_app
3302; 2620 16482 TRIGGER public big guards owner_of_app
3303; 3466 16483 EVENT TRIGGER - watches postgres
3304; 6104 16484 PUBLICATION - pub postgres
3305; 6106 16485 PUBLICATION TABLE public pub big postgres
3306; 6237 16486 PUBLICATION TABLES IN SCHEMA - pub public postgres
3307; 6100 16487 SUBSCRIPTION - sub postgres
3308; 0 16470 MATERIALIZED VIEW DATA public mat postgres
3309; 3256 16490 POLICY public guarded p postgres
3310; 1259 16491 INDEX public big_text_idx owner_of_app
3311; 0 0 STATISTICS DATA public big owner_of_app
`;

const entries = parseList(list);
const left = (selection: Parameters<typeof chooseEntries>[1]) => {
  const chosen = chooseEntries(entries, selection).map(({ id }) => id);
  return entries.filter(({ id }) => !chosen.includes(id)).map(({ text }) => text);
};

/** Whatever is selected. */
const always = [
  'COMMENT public CONSTRAINT big_fkey ON big owner_of_app',
  'COMMENT public TRIGGER guards ON big owner_of_app',
  'BLOB - 4711 postgres',
  'BLOB METADATA - 4711 postgres',
  'ACL - LARGE OBJECT 4711 postgres',
  'BLOBS - BLOBS ',
  'FK CONSTRAINT public big big_fkey owner_of_app',
  'TRIGGER public big guards owner_of_app',
  'EVENT TRIGGER - watches postgres',
  'PUBLICATION - pub postgres',
  'PUBLICATION TABLE public pub big postgres',
  'PUBLICATION TABLES IN SCHEMA - pub public postgres',
  'SUBSCRIPTION - sub postgres',
  'MATERIALIZED VIEW DATA public mat postgres',
];

describe('the entries for a selection', () => {
  it('are every definition, and rows of the selected table alone', () => {
    const rows = left({ schemas: [], tables: [['public', 'big']] }).filter((text) => !always.includes(text));
    expect(rows).toEqual([
      `TABLE DATA odd "schema odd 'table postgres`,
      'TABLE DATA public parted_low postgres',
      'TABLE DATA public two words postgres',
      'TABLE DATA public two postgres',
    ]);
  });

  it('leave out what ties tables together or reaches beyond the database', () => {
    expect(left({ schemas: ['public', 'odd "schema'], tables: [] })).toEqual(always);
  });

  it('keep the rows of a table that may be meant where names with spaces leave it open', () => {
    expect(left({ schemas: [], tables: [['public', 'two']] })).not.toContain('TABLE DATA public two words postgres');
    expect(left({ schemas: [], tables: [['public', 'two words']] })).toContain('TABLE DATA public two postgres');
  });

  it('are given back to pg_restore by their numbers, in order', () => {
    const text = renderList(chooseEntries(entries, { schemas: [], tables: [['public', 'big']] }));
    const ids = text.match(/^\d+/gm)?.map(Number);
    expect(ids).toEqual(entries.map(({ id }) => id).filter((id) => ids?.includes(id)));
    expect(text).toContain('3400; ');
    expect(renderList([{ id: 1, text: 'TABLE public 日本' }])).toBe('1; TABLE public ??\n');
  });
});

it('a selected table brings its partitions, and theirs', () => {
  const definitions = `ALTER TABLE ONLY public.parted ATTACH PARTITION public.parted_low FOR VALUES FROM (0) TO (100);
ALTER TABLE ONLY public.parted_low ATTACH PARTITION "odd ""schema"."p 1" FOR VALUES FROM (0) TO (10);
ALTER TABLE ONLY public.other ATTACH PARTITION public.other_low FOR VALUES FROM (0) TO (100);
`;
  expect(withPartitions({ schemas: [], tables: [['public', 'parted']] }, definitions).tables).toEqual([
    ['public', 'parted'],
    ['public', 'parted_low'],
    ['odd "schema', 'p 1'],
  ]);
});
