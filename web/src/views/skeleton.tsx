import { words } from '../i18n';

/** What stands in the place of a view while its code comes. */
export function ViewSkeleton() {
  return (
    <div class="view-sk" role="status" aria-busy="true" aria-label={words.value.common.loading}>
      <span class="sk w300" />
      {Array.from({ length: 8 }, (_, i) => (
        <span class="sk" key={i} style={{ width: `${88 - ((i * 17) % 40)}%` }} />
      ))}
    </div>
  );
}
