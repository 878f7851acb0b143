#include "storage/rocksdb/patches.h"

#include "absl/strings/string_view.h"
#include "storage/store/patch.h"

namespace holdfast::storage {
namespace {

class PatchOperator : public rocksdb::MergeOperator {
 public:
  bool FullMergeV2(const MergeOperationInput& in, MergeOperationOutput* out) const override {
    std::string& value = out->new_value;
    value.clear();  // RocksDB leaves other values in it
    if (in.existing_value != nullptr) value.assign(in.existing_value->data(), in.existing_value->size());
    bool fits = !value.empty();
    for (const rocksdb::Slice& patch : in.operand_list) {
      fits = fits && ApplyPatch({patch.data(), patch.size()}, &value);
    }
    if (!fits) value.assign(kDamagedValue.data(), kDamagedValue.size());
    return true;
  }
  // RocksDB records the name in its tables, but checks nothing by it.
  const char* Name() const override { return "holdfast.patch"; }
};

}  // namespace

std::shared_ptr<rocksdb::MergeOperator> NewPatchOperator() { return std::make_shared<PatchOperator>(); }

}  // namespace holdfast::storage
